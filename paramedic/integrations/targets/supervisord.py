"""supervisord programs, by XML-RPC over its Unix socket or HTTP port."""

import ipaddress
import re
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from math import inf
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.kinds import process_target
from paramedic.kinds.evidence import Gathered
from paramedic.kinds.transport import Connection, TcpPort, Transport, UnixSocket
from paramedic.machine.clock import boottime, spoken
from paramedic.machine.kill_points import kill_point
from paramedic.processes import program_log
from paramedic.processes.going_on import goes_on
from paramedic.processes.signals import ReloadSignal
from paramedic.remediation.target import Identity, Target
from paramedic.text.address import fit_url
from paramedic.text.sanitize import one_line
from paramedic.text.template import as_it_is

LABEL = "program"
REMEDIES = ("restart", "reload")
ID_WITHOUT_KIND = True

ANSWER_LIMIT = 4 * 1024 * 1024  # bytes; an answer about one supervisord's programs is a few kilobytes

# Faults of supervisord's XML-RPC API (class Faults in supervisor/xmlrpc.py).
SHUTDOWN_STATE = 6
NOT_RUNNING = 70


#: What a program printed is in supervisord's answers as it is: also what no XML may have.
_NO_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def _filled_in_nowhere(address: str) -> str:
    as_it_is(address.rpartition("@")[2])  # a password may have any character
    return address


class Words(BaseModel):
    """`supervisord: {program: …, address: …}` in services.yaml."""

    model_config = ConfigDict(extra="forbid", strict=True)
    program: Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S"), AfterValidator(as_it_is)] = Field(
        description="its name in supervisord, with its group, if any: shop:web"
    )
    address: Annotated[
        str, Field(pattern=r"^(unix:///|http://)"), AfterValidator(_filled_in_nowhere), AfterValidator(fit_url)
    ] = Field(description="where its supervisord listens: unix:///run/supervisor.sock, http://127.0.0.1:9001")
    reload: ReloadSignal | None = Field(
        default=None, description="the signal by which it reads its configuration again; none without it: HUP"
    )


def name_of(words: Words) -> str:
    """The program."""
    return words.program


def address_of(words: Words) -> str:
    """Where its supervisord listens."""
    return words.address


def needs(words: Words, remedy: str) -> str | None:
    """The key that the remedy needs and these words lack, with an example.

    A program dies by a signal that it does not handle, so that nobody sends one that its owner has not named.
    """
    return "reload: HUP" if remedy == "reload" and words.reload is None else None


def is_remote(words: Words) -> bool:
    """Whether its supervisord is on another machine than Paramedic."""
    parts = urlsplit(words.address)
    if parts.scheme == "unix" or parts.hostname == "localhost":
        return False
    try:
        return not ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return True


def running(identity: Identity) -> bool:
    """Whether supervisord reports the program as up, which does not prove that it is well."""
    return process_target.has_process(identity) and identity.state == "RUNNING"


class Reader:
    """Looks at one supervised program and its neighbours."""

    def __init__(
        self, target: Target, transport: Transport, timeout: timedelta = timedelta(seconds=5), *, by: float = inf
    ) -> None:
        self._target = target
        self._transport = transport
        self._timeout, self._by = timeout, by

    def identity(self) -> Identity:
        """The running instance of the program.

        Raises PermanentError if supervisord does not know the program or denies the login, TemporaryError if it does not answer.
        """
        return _identity(self._ask("supervisor.getProcessInfo", self._target.name))

    def owns(self, pid: int) -> bool:
        """Whether the process is a child of this supervisord, on the machine that the transport leads to.

        Neither moves with a clock. A supervisord that is process 1 of its container has children whose parent is 1, and so
        has the machine: there process 1 itself has to be one. Raises as `identity` does.
        """
        row = self._transport.processes.row(pid)
        if row is None or row.ppid != (parent := self._ask("supervisor.getPID")):
            return False
        if parent != 1:
            return True
        first = self._transport.processes.row(1)
        return first is not None and "supervisord" in first.cmdline

    def processes(self) -> dict[str, Identity]:
        """Every program of this supervisord by its full name (`group:name`). Raises as `identity` does."""
        try:
            return {
                f"{info['group']}:{info['name']}": _identity(info) for info in self._ask("supervisor.getAllProcessInfo")
            }
        except (LookupError, TypeError) as error:
            raise TemporaryError("supervisord's answer is not a list of programs") from error

    def log(self, channel: str, size: int) -> str:
        """The last bytes of the file that supervisord writes the program's stdout or stderr into: `Stdout`, `Stderr`.

        Raises PermanentError where it writes none; TemporaryError also where the bytes are no UTF-8: it sends none then.
        """
        return str(self._ask(f"supervisor.readProcess{channel}Log", self._target.name, -size, 0))

    def _ask(self, method: str, *params: object) -> Any:
        deadline = min(boottime() + self._timeout.total_seconds(), self._by)
        with _connect(self._target, self._transport, deadline) as line:
            try:
                line.send(_request(self._target, method, *params), deadline)
            except OSError as error:
                raise TemporaryError(f"supervisord of {self._target.id} took no request: {error}") from error
            return _answer(line, deadline, self._target)


class Changer:
    """Restarts or reloads one supervised program. `did`: what came of a reload."""

    def __init__(self, target: Target, transport: Transport, total_timeout: timedelta = timedelta(seconds=30)) -> None:
        self._target = target
        self._transport = transport
        self._total = total_timeout
        self.did = ""

    def restart(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Restart the instance `expected` of the program, by one request; returns the new instance.

        `last_look` is called once everything is ready, and its exception stops the restart: only a send follows it.
        supervisord carries the restart out to its end even if this process dies once the request is sent. It goes on
        after `total_timeout` too, which bounds only how long this call takes.

        Nothing was sent if it raises Refused (another instance, or another client is stopping it) or TemporaryError.
        PermanentError says
        that it did not start, or, before anything was sent, that it cannot be restarted, as the message says. OutcomeUnknown: it
        was sent, and no answer came.
        """
        target, deadline = self._target, boottime() + self._total.total_seconds()
        self._check(expected, Reader(target, self._transport, min(self._total, timedelta(seconds=5))).identity())
        request = _request(
            target,
            "system.multicall",
            [
                {"methodName": "supervisor.stopProcess", "params": [target.name, True]},
                {"methodName": "supervisor.startProcess", "params": [target.name, True]},
                {"methodName": "supervisor.getProcessInfo", "params": [target.name]},
            ],
        )
        # supervisord works a restart off in the name of its client's connection, and forgets what is left of it when that
        # closes: the program stays stopped. So the connection outlives us.
        with _connect(target, self._transport, deadline, outlives_us=True) as line:
            last_look()
            if boottime() >= deadline:
                raise Refused(f"the {spoken(self._total)} for restarting {target.id} were over before it was sent")
            line.outlive_us()
            try:
                line.send(request, deadline)
                kill_point("act_sent", target.id)
                return self._judge_results(_answer(line, deadline, target))
            except (OSError, TemporaryError) as error:
                raise OutcomeUnknown(
                    f"the restart of {target.id} was sent, and its outcome is open: {error}"
                ) from error

    def reload(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Send the instance `expected` of the program the signal that services.yaml names; returns that instance, which goes on.

        As `restart`, but that nothing is sent, and PermanentError raised, where no signal is named or the program does not run.
        The proof is supervisord's word that it sent the signal, and a look of a second: a program that died by it, also one
        that was started again, is a PermanentError.
        """
        target, deadline = self._target, boottime() + self._total.total_seconds()
        signal = getattr(target.words, "reload", None)
        if signal is None:
            raise PermanentError(
                f"services.yaml names no signal by which {target.id} reloads: `reload: HUP` beside its program"
            )
        reader = Reader(target, self._transport, min(self._total, timedelta(seconds=5)))
        now = reader.identity()
        self._check(expected, now)
        if not running(now):
            raise PermanentError(f"{target.id} is {now.state}: only a program that runs can be reloaded")
        request = _request(target, "supervisor.signalProcess", target.name, signal)
        with _connect(target, self._transport, deadline) as line:
            last_look()
            if boottime() >= deadline:
                raise Refused(f"the {spoken(self._total)} for reloading {target.id} were over before it was sent")
            try:
                line.send(request, deadline)
                kill_point("act_sent", target.id)
                sent = _answer(line, deadline, target)
            except (OSError, TemporaryError) as error:
                raise OutcomeUnknown(f"the reload of {target.id} was sent, and its outcome is open: {error}") from error
        if sent is not True:
            raise OutcomeUnknown(f"supervisord's answer about the reload of {target.id} is not that of a signal")
        after = goes_on(target.id, reader.identity, lambda seen: self._must_go_on(seen, expected, signal), deadline)
        self.did = f"supervisord sent {target.id} the signal {signal}, and process {after.instance['pid']} goes on"
        return after

    def _must_go_on(self, now: Identity, expected: Identity, signal: str) -> None:
        """Raises PermanentError where the program did not outlive its reload."""
        if not running(now) or process_target.process_of(now) != process_target.process_of(expected):
            again = ", started again by supervisord" if process_target.has_process(now) else ""
            raise PermanentError(
                f"{self._target.id} died by its reload, the signal {signal}: it is {now.state} now{again}"
            )

    def _check(self, expected: Identity, now: Identity) -> None:
        """Raises TargetChanged for another instance than the judged one, Refused while somebody stops it."""
        is_now, was = process_target.process_of(now), process_target.process_of(expected)
        if is_now != was:
            raise TargetChanged(
                f"{self._target.id} is no longer the one that was judged: "
                f"pid {was[0]} since {was[1]} then, pid {is_now[0]} since {is_now[1]} now"
            )
        if now.state == "STOPPING":
            raise Refused(f"somebody else is stopping {self._target.id}")

    def _judge_results(self, results: Any) -> Identity:
        """The identity after stop, start and look. Raises PermanentError where it did not start."""
        try:
            stopped, started, info = results
        except (TypeError, ValueError) as error:
            raise TemporaryError("supervisord's answer is not that of a restart") from error
        if fault := _fault(started):
            before = _fault(stopped)
            because = f"{before[1]}; {fault[1]}" if before and before[0] != NOT_RUNNING else fault[1]
            state = info.get("statename", "gone") if isinstance(info, dict) else "gone"
            raise PermanentError(
                f"supervisord did not start {self._target.id}: {because}; it is {one_line(str(state))} now"
            )
        return _identity(info)


def _connect(target: Target, transport: Transport, deadline: float, *, outlives_us: bool = False) -> Connection:
    """An open connection. Raises PermanentError on an address that cannot be right, TemporaryError if nothing listens there."""
    try:
        return transport.connect(_listens(target), deadline, outlives_us=outlives_us)
    except PermissionError as error:
        raise PermanentError(f"this user may not talk to the supervisord of {target.id}: {error}") from error
    except OSError as error:
        raise TemporaryError(f"the supervisord of {target.id} is not there: {error}") from error
    except ValueError as error:  # a port that is not a number, a path with a null byte
        raise PermanentError(f"the address of {target.id} cannot be right: {error}") from error


def _listens(target: Target) -> UnixSocket | TcpPort:
    parts = urlsplit(target.address)
    if parts.scheme == "http" and parts.hostname:
        return TcpPort(parts.hostname, parts.port or 80)
    if parts.scheme != "unix" or parts.hostname or not parts.path:
        raise PermanentError(f"the address of {target.id} is neither unix:///absolute/path nor http://host:port")
    return UnixSocket(unquote(parts.path))


def _request(target: Target, method: str, *params: object) -> bytes:
    """A whole HTTP/1.0 request, so that one send is the act and the answer ends with the connection."""
    import xmlrpc.client  # here, and in `_returned`: every file that authors write loads this module; only a look pays

    body = xmlrpc.client.dumps(tuple(params), method).encode()  # type: ignore[arg-type] # lists and dicts of str and bool
    parts = urlsplit(target.address)
    lines = [
        "POST /RPC2 HTTP/1.0",
        f"Host: {parts.hostname or 'localhost'}",
        "Content-Type: text/xml",
        f"Content-Length: {len(body)}",
    ]
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        lines.append(f"Authorization: Basic {b64encode(login.encode()).decode()}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def _answer(line: Connection, deadline: float, target: Target) -> Any:
    """What supervisord returned.

    Raises PermanentError if it said no, TemporaryError if it said nothing that can be understood.
    """
    received = bytearray()
    try:
        while chunk := line.receive(deadline):
            received += chunk
            if len(received) > ANSWER_LIMIT:
                raise TemporaryError(f"the supervisord of {target.id} answers without end")
    except (TimeoutError, BlockingIOError) as error:
        raise TemporaryError(f"the supervisord of {target.id} did not answer in time") from error
    except OSError as error:
        raise TemporaryError(f"the supervisord of {target.id} did not answer: {error}") from error
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    status = head.split(b"\r\n")[0].split(b" ")[1:2]
    if status in ([b"401"], [b"403"], [b"404"]):
        raise PermanentError(
            f"the supervisord of {target.id} answered {status[0].decode()}: look at its address and login"
        )
    if status != [b"200"]:
        raise TemporaryError(f"the supervisord of {target.id} gave no whole answer: {one_line(str(head[:80]))}")
    return _returned(body, target)


def _returned(body: bytes, target: Target) -> Any:
    """The value in the answer. Raises as `_answer`."""
    import xmlrpc.client
    from xml.parsers.expat import ExpatError

    # What xmlrpc.client raises on bytes that are no answer.
    no_xmlrpc = (ExpatError, xmlrpc.client.Error, ValueError, TypeError, LookupError, AttributeError, AssertionError)
    try:
        return xmlrpc.client.loads(_NO_XML.sub(lambda found: b"\\x%02x" % found[0][0], body))[0][0]
    except xmlrpc.client.Fault as fault:
        says = f"the supervisord of {target.id} says {one_line(fault.faultString)}"
        raise (TemporaryError(says) if fault.faultCode == SHUTDOWN_STATE else PermanentError(says)) from fault
    except no_xmlrpc as error:
        raise TemporaryError(
            f"the supervisord of {target.id} answered what is no XML-RPC: {type(error).__name__}"
        ) from error


def _identity(info: Any) -> Identity:
    try:
        return process_target.process_identity(
            pid=info["pid"] or None,
            started_at=float(info["start"]) or None,  # supervisord tells whole seconds
            state=str(info["statename"]),
        )
    except (LookupError, TypeError, ValueError) as error:
        raise TemporaryError("supervisord's answer does not describe a program") from error


def _fault(result: Any) -> tuple[int, str] | None:
    if isinstance(result, dict) and "faultCode" in result:
        return int(result["faultCode"]), one_line(str(result.get("faultString", "")))
    return None


def _owned(target: Target, pid: int, transport: Transport) -> bool:
    return Reader(target, transport).owns(pid)


def log_lines(target: Target, transport: Transport, lines: int, _since: float, deadline: float) -> Gathered:
    """The last lines that the program printed: supervisord keeps them without a time. Raises as `Reader.identity` does."""
    return program_log.last_lines(Reader(target, transport, by=deadline).log, lines)


EVIDENCE = process_target.evidence(
    lambda target, transport, within: Reader(target, transport, within).identity(), _owned
)
restarted = process_target.restarted
resident_memory = partial(process_target.memory_of, owned=_owned)
process_id = partial(process_target.process_id, owned=_owned)
process_use = partial(process_target.use_of, owned=_owned)


def mark(_target: Target, _transport: Transport, _act: str) -> None:
    """Nothing: supervisord does what it is asked on a connection, and no machine keeps a mark of that."""
