"""supervisord, by XML-RPC over its Unix socket or its HTTP port."""

import ipaddress
import socket
import subprocess
import sys
import threading
import xmlrpc.client
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Self
from urllib.parse import unquote, urlsplit
from xml.parsers.expat import ExpatError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.machine.clock import boottime, spoken
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.target import Identity, Target
from paramedic.text.address import fit_url
from paramedic.text.sanitize import one_line
from paramedic.transports import local_process

LABEL = "program"
REMEDIES = ("restart",)

ANSWER_LIMIT = 4 * 1024 * 1024  # bytes; an answer about one supervisord's programs is a few kilobytes

# Faults of supervisord's XML-RPC API (class Faults in supervisor/xmlrpc.py).
SHUTDOWN_STATE = 6
NOT_RUNNING = 70

# What xmlrpc.client raises on bytes that are no answer.
NOT_XMLRPC = (ExpatError, xmlrpc.client.Error, ValueError, TypeError, LookupError, AttributeError, AssertionError)


class Words(BaseModel):
    """`supervisord: {program: …, address: …}` in services.yaml."""

    model_config = ConfigDict(extra="forbid", strict=True)
    program: Annotated[str, Field(min_length=1, max_length=200)]
    address: Annotated[str, Field(pattern=r"^(unix:///|http://)"), AfterValidator(fit_url)]


def name_of(words: Words) -> str:
    """The program."""
    return words.program


def address_of(words: Words) -> str:
    """Where its supervisord listens."""
    return words.address


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
    """Whether supervisord says that the program is up: no proof that it is well."""
    return local_process.has_process(identity) and identity.state == "RUNNING"


class Reader:
    """Looks at one supervised program and its neighbours."""

    def __init__(self, target: Target, timeout: timedelta = timedelta(seconds=5)) -> None:
        self._target = target
        self._timeout = timeout

    def identity(self) -> Identity:
        """Which life the program is in now.

        Raises PermanentError if supervisord does not know the program or denies the login, TemporaryError if it does not answer.
        """
        return _identity(self._ask("supervisor.getProcessInfo", self._target.name))

    def processes(self) -> dict[str, Identity]:
        """Every program of this supervisord by its full name (`group:name`). Raises as `identity` does."""
        try:
            return {
                f"{info['group']}:{info['name']}": _identity(info) for info in self._ask("supervisor.getAllProcessInfo")
            }
        except (LookupError, TypeError) as error:
            raise TemporaryError("supervisord's answer is not a list of programs") from error

    def _ask(self, method: str, *params: object) -> Any:
        deadline = boottime() + self._timeout.total_seconds()
        with _connect(self._target, deadline) as line:
            try:
                line.sendall(_request(self._target, method, *params))
            except OSError as error:
                raise TemporaryError(f"supervisord of {self._target.id} took no request: {error}") from error
            return _answer(line, deadline, self._target)


class Changer:
    """Restarts one supervised program."""

    def __init__(self, target: Target, total_timeout: timedelta = timedelta(seconds=30)) -> None:
        self._target = target
        self._total = total_timeout

    def restart(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Restart the program whose life is `expected`, by one request, and say which life it is in now.

        `last_look` is called once everything is ready, and its exception stops the restart: only a send follows it.
        supervisord carries the restart out to its end even if this process dies once the request is sent. It goes on
        after `total_timeout` too, which bounds only how long this call takes.

        Nothing was sent if it raises Refused (another life, or somebody else is stopping it) or TemporaryError.
        PermanentError says
        that it did not start, or, before anything was sent, that it cannot be restarted: the words tell. OutcomeUnknown: it
        was sent, and no answer came.
        """
        target, deadline = self._target, boottime() + self._total.total_seconds()
        self._check(expected, Reader(target, min(self._total, timedelta(seconds=5))).identity())
        request = _request(
            target,
            "system.multicall",
            [
                {"methodName": "supervisor.stopProcess", "params": [target.name, True]},
                {"methodName": "supervisor.startProcess", "params": [target.name, True]},
                {"methodName": "supervisor.getProcessInfo", "params": [target.name]},
            ],
        )
        with _connect(target, deadline) as line, _Anchor(line) as anchor:
            last_look()
            left = deadline - boottime()
            if left <= 0:
                raise Refused(f"the {spoken(self._total)} for restarting {target.id} were over before it was sent")
            line.settimeout(left)
            anchor.hold()
            try:
                line.sendall(request)
                kill_point("act_sent", target.id)
                return self._told(_answer(line, deadline, target))
            except (OSError, TemporaryError) as error:
                raise OutcomeUnknown(
                    f"the restart of {target.id} was sent, and its outcome is open: {error}"
                ) from error

    def _check(self, expected: Identity, now: Identity) -> None:
        is_now, was = local_process.process_of(now), local_process.process_of(expected)
        if is_now != was:
            raise TargetChanged(
                f"{self._target.id} is no longer the one that was judged: "
                f"pid {was[0]} since {was[1]} then, pid {is_now[0]} since {is_now[1]} now"
            )
        if now.state == "STOPPING":
            raise Refused(f"somebody else is stopping {self._target.id}")

    def _told(self, results: Any) -> Identity:
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


class _Anchor:
    """A second holder of the connection, for when this process dies between supervisord's stop and its start.

    supervisord works a restart off in the name of its client's connection, and forgets what is left of it when that
    closes: the program stays stopped. The anchor is a process of its own that does nothing but keep the connection open
    until supervisord answers or is gone.
    """

    LONGEST = timedelta(minutes=10)
    PROGRAM = """import os, select, sys
line, longest = int(sys.argv[1]), float(sys.argv[2])
if select.select([0], [], [], longest)[0] and os.read(0, 1): select.select([line], [], [], longest)"""

    def __init__(self, line: socket.socket) -> None:
        kept = str(line.fileno())
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", self.PROGRAM, kept, str(self.LONGEST.total_seconds())],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[line.fileno()],
                start_new_session=True,  # what kills our process group must not cut a restart in half
            )
        except OSError as error:
            raise TemporaryError(f"no process could be started to keep the connection: {error}") from error
        threading.Thread(target=self._process.wait, daemon=True).start()  # leaves no zombie, waits for nobody

    def __enter__(self) -> Self:
        return self

    def hold(self) -> None:
        """From now on the connection outlives us; before, the anchor goes when we go. Raises TemporaryError if it cannot."""
        try:
            self._stdin().write(b"!")
        except OSError as error:
            raise TemporaryError(f"the process that keeps the connection is gone: {error}") from error

    def __exit__(self, *_: object) -> None:
        self._stdin().close()

    def _stdin(self) -> Any:
        return self._process.stdin


def _connect(target: Target, deadline: float) -> socket.socket:
    """An open connection. Raises PermanentError on an address that cannot be right, TemporaryError if nobody is there."""
    parts = urlsplit(target.address)
    try:
        left = _left(deadline)
        if parts.scheme == "http" and parts.hostname:
            return socket.create_connection((parts.hostname, parts.port or 80), timeout=left)
        if parts.scheme != "unix" or parts.hostname or not parts.path:
            raise PermanentError(f"the address of {target.id} is neither unix:///absolute/path nor http://host:port")
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.settimeout(left)
            line.connect(unquote(parts.path))
        except BaseException:  # raised again: no socket is left open, whatever ends us
            line.close()
            raise
        return line  # noqa: TRY300 - the socket is closed only on the way out
    except PermissionError as error:
        raise PermanentError(f"this user may not talk to the supervisord of {target.id}: {error}") from error
    except OSError as error:
        raise TemporaryError(f"the supervisord of {target.id} is not there: {error}") from error
    except ValueError as error:  # a port that is no number, a path with a null byte
        raise PermanentError(f"the address of {target.id} cannot be right: {error}") from error


def _request(target: Target, method: str, *params: object) -> bytes:
    """A whole HTTP/1.0 request, so that one send is the act and the answer ends with the connection."""
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


def _answer(line: socket.socket, deadline: float, target: Target) -> Any:
    """What supervisord returned.

    Raises PermanentError if it said no, TemporaryError if it said nothing that can be understood.
    """
    told = bytearray()
    try:
        while True:
            line.settimeout(max(deadline - boottime(), 0))  # too late, but here already: better read than unknown
            if not (chunk := line.recv(65_536)):
                break
            told += chunk
            if len(told) > ANSWER_LIMIT:
                raise TemporaryError(f"the supervisord of {target.id} answers without end")
    except (TimeoutError, BlockingIOError) as error:
        raise TemporaryError(f"the supervisord of {target.id} did not answer in time") from error
    except OSError as error:
        raise TemporaryError(f"the supervisord of {target.id} did not answer: {error}") from error
    head, _, body = bytes(told).partition(b"\r\n\r\n")
    status = head.split(b"\r\n")[0].split(b" ")[1:2]
    if status in ([b"401"], [b"403"], [b"404"]):
        raise PermanentError(
            f"the supervisord of {target.id} answered {status[0].decode()}: look at its address and login"
        )
    if status != [b"200"]:
        raise TemporaryError(f"the supervisord of {target.id} gave no whole answer: {one_line(str(head[:80]))}")
    try:
        return xmlrpc.client.loads(body)[0][0]
    except xmlrpc.client.Fault as fault:
        says = f"the supervisord of {target.id} says {one_line(fault.faultString)}"
        raise (TemporaryError(says) if fault.faultCode == SHUTDOWN_STATE else PermanentError(says)) from fault
    except NOT_XMLRPC as error:
        raise TemporaryError(
            f"the supervisord of {target.id} answered what is no XML-RPC: {type(error).__name__}"
        ) from error


def _left(deadline: float) -> float:
    left = deadline - boottime()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def _identity(info: Any) -> Identity:
    try:
        return local_process.process_identity(
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


EVIDENCE = local_process.evidence(lambda target: Reader(target).identity())
restarted = local_process.restarted
resident_memory = local_process.memory_of
process_use = local_process.use_of
