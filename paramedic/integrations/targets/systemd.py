"""systemd units, by systemctl and journalctl on the target's machine."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.kinds import process_target, unit_journal
from paramedic.kinds.evidence import Gathered
from paramedic.kinds.transport import MOST_KEPT, Ended, OutOfTime, Transport
from paramedic.machine.clock import boottime, spoken
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.target import Identity, Target, same_instance
from paramedic.text.sanitize import one_line, without_colours

LABEL = "unit"
REMEDIES = ("restart",)
ID_WITHOUT_KIND = True

#: What systemctl and journalctl say is parsed: one language, one time zone, whoever runs them and wherever.
_SPOKEN = ("env", "LC_ALL=C", "TZ=UTC", "SYSTEMD_COLORS=0")

#: What is asked about a journal beside its lines is worth no more.
_ONE_MORE_LOOK = timedelta(seconds=1)

_ASKED = (
    "Id",
    "LoadState",
    "LoadError",
    "ActiveState",
    "SubState",
    "Job",
    "MainPID",
    "ExecMainStartTimestamp",
    "InvocationID",
    "AllowIsolate",
)

#: Exit codes of systemctl (LSB, systemctl(1)): no right to do it, not loaded.
_SAID_NO = (4, 5)

#: systemctl's words for a job that was not taken, or that ended badly. After any others the outcome is open.
_FAILED = re.compile(
    r"^Job for \S+ (failed|canceled|timed out)"
    r"|Access denied|authentication required|is masked|not found|is destructive|is not loaded properly"
    r"|Failed to connect to bus|not been booted with systemd",
    re.MULTILINE,
)


#: systemd's words for `never_restarts` once all rights were found well, and for a right that is missing.
_WOULD_HAVE = "only valid for start"
_NO_RIGHT = re.compile(r"Access denied|[Aa]uthentication (is )?required")


_UNIT = r"[A-Za-z0-9_][A-Za-z0-9:_.\\@-]{0,240}\.service"


def _unit(name: str) -> str:
    if not re.fullmatch(_UNIT, name):
        raise ValueError("write a unit's whole name, NAME.service: no other kind of unit has a process")
    return name


#: `systemd: UNIT` in services.yaml.
Words = Annotated[str, AfterValidator(_unit), WithJsonSchema({"type": "string", "pattern": f"^{_UNIT}$"})]


def name_of(words: str) -> str:
    """The unit's full name."""
    return words


def address_of(_words: str) -> str:
    """Nothing: the unit is found by its name alone."""
    return ""


def running(identity: Identity) -> bool:
    """Whether systemd reports the unit as up, which does not prove that it is well."""
    return process_target.has_process(identity) and identity.state.startswith(("active/", "reloading/"))


def show(unit: str) -> tuple[str, ...]:
    """The command that shows the unit's properties as `key=value` lines."""
    return (*_SPOKEN, "systemctl", "show", "--no-pager", f"--property={','.join(_ASKED)}", "--", unit)


def restart(unit: str) -> tuple[str, ...]:
    """The command that restarts the unit as one job; it does not replace another job."""
    return (*_SPOKEN, "systemctl", "restart", "--job-mode=fail", "--no-pager", "--no-ask-password", "--", unit)


def never_restarts(unit: str) -> tuple[str, ...]:
    """The call that a restart is, in a mode in which systemd never does it: who may restart the unit is judged before the mode.

    `isolate` is for starts. systemd has refused a restart in that mode for as long as the mode exists (manager_add_job, since
    2010), after it has asked polkit about this unit and this verb, which polkit tells nobody else but root. A unit without
    `AllowIsolate=`, as services are, is refused for that as well. Not by systemctl: a substitute in a container may ignore
    the mode.
    """
    manager = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
    quietly = ("--system", "--no-pager", "--allow-interactive-authorization=no")
    return (*_SPOKEN, "busctl", *quietly, "call", *manager, "RestartUnit", "ss", unit, "isolate")


def journal(unit: str, lines: int) -> tuple[str, ...]:
    """The command that shows the unit's last lines in the journal, oldest first."""
    return (*_SPOKEN, *unit_journal.lines_of(unit, lines, form="short-iso"))


class Reader:
    """Looks at one unit."""

    def __init__(self, target: Target, transport: Transport, timeout: timedelta = timedelta(seconds=5)) -> None:
        self._target = target
        self._transport = transport
        self._timeout = timeout

    def identity(self) -> Identity:
        """The running instance of the unit.

        Raises PermanentError if this machine has no systemd, or not this unit, or one that cannot be started
        (masked, unreadable);
        TemporaryError if systemd does not answer.
        """
        return _identity(self.properties())

    def properties(self) -> dict[str, str]:
        """The unit's properties. Raises as `identity` does."""
        target = self._target
        properties = dict(
            line.partition("=")[::2] for line in self._ask(show(target.name)).splitlines() if line.count("=") >= 1
        )
        if any(key not in properties for key in ("Id", "LoadState", "ActiveState", "SubState", "MainPID")):
            raise TemporaryError(f"systemd's answer about {target.id} does not describe a unit")
        match properties["LoadState"]:
            case "loaded":
                pass
            case "not-found":
                raise PermanentError(f"systemd has no unit {target.name}")
            case "masked":
                raise PermanentError(
                    f"{target.name} is masked: systemd will not start it; `systemctl unmask` is a person's"
                )
            case state:
                why = one_line(properties.get("LoadError", ""))
                raise PermanentError(
                    f"systemd cannot use the unit file of {target.name}: {one_line(state)} {why}".rstrip()
                )
        if properties["Id"] != target.name:
            raise PermanentError(
                f"{target.name} is another name of {one_line(properties['Id'])}: list that in services.yaml"
            )
        return properties

    def journal(self, lines: int = 100) -> str:
        """The unit's last lines in the journal.

        Raises PermanentError if this user may not read it, TemporaryError if journalctl does not answer.
        """
        lines_read = without_colours(self._ask(journal(self._target.name, lines)))
        return lines_read or f"the journal has no line of {self._target.name} that this user may read"

    def log_lines(self, lines: int, since: float) -> Gathered:
        """The unit's last lines in the journal since then, each after its time; and what is missing. Raises as `journal` does."""
        unit = self._target.name
        ended = self._run((*_SPOKEN, *unit_journal.lines_of(unit, lines)), kept=MOST_KEPT)
        soon = Reader(self._target, self._transport, _ONE_MORE_LOOK)
        return unit_journal.read(unit, lines, since, ended, lambda: soon._run((*_SPOKEN, *unit_journal.FIRST)))

    def forbidden(self) -> str | None:
        """Why systemd would not let this user restart the unit, and what grants it; None where it would. Nothing is restarted.

        Raises as `identity` does.
        """
        unit = self._target.name
        if self._transport.by_sudo:
            return self._lacking_sudo()
        if self.properties().get("AllowIsolate") != "no":
            return f"who may restart {unit} cannot be asked safely: it is none of systemd's units with AllowIsolate=no"
        words = _words(self._run(never_restarts(unit)))
        if _WOULD_HAVE in words:
            return None
        if not _NO_RIGHT.search(words):
            return f"systemd would not restart {unit}: {words}"
        return (
            f"the user {self._user()} may not restart {unit} ({words}): give it the polkit rule of docs/targets.md for this "
            "unit and the verb restart (/etc/polkit-1/rules.d), and see that polkit runs"
        )

    def _lacking_sudo(self) -> str | None:
        """What keeps sudo from restarting the unit as it is restarted: all that is missing is found before a start."""
        try:
            with self._transport.command(restart(self._target.name)):
                return None
        except PermanentError as error:
            return str(error)

    def _user(self) -> str:
        """The user that the transport works as there, by its name."""
        ended = self._run(("id", "-un"))
        return one_line(ended.output.strip()) if ended.code == 0 else "of this process"

    def _run(self, command: tuple[str, ...], **kept: int) -> Ended:
        _there(self._target, self._transport)
        try:
            return self._transport.run(command, boottime() + self._timeout.total_seconds(), **kept)
        except OutOfTime as error:
            raise TemporaryError(
                f"systemd did not answer about {self._target.id} in {spoken(self._timeout)}"
            ) from error

    def _ask(self, command: tuple[str, ...]) -> str:
        ended = self._run(command)
        if ended.code == 0:
            return ended.output
        words = f"{self._target.id}: {_words(ended)}"
        if ended.code in _SAID_NO or re.search(r"not been booted|[Pp]ermission|Access denied", ended.errors):
            raise PermanentError(words)
        raise TemporaryError(words)


class Changer:
    """Restarts one unit."""

    def __init__(self, target: Target, transport: Transport, total_timeout: timedelta = timedelta(seconds=30)) -> None:
        self._target = target
        self._transport = transport
        self._total = total_timeout

    def restart(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Restart the instance `expected` of the unit, by one systemd job; returns the new instance.

        `last_look` is called once everything is ready, and its exception stops the restart: only the start of systemctl
        follows it. systemd carries the job out to its end, whatever becomes of systemctl, of this process, and of
        `total_timeout`, which bounds only how long this call takes.

        Nothing was sent if it raises Refused (another instance, or another job is running) or TemporaryError.
        PermanentError says
        that systemd did not do it, or that the unit did not stay up, as the message says. OutcomeUnknown: it was sent, and its
        outcome is open.
        """
        target, deadline = self._target, boottime() + self._total.total_seconds()
        reader = Reader(target, self._transport, min(self._total, timedelta(seconds=5)))
        with self._transport.command(restart(target.name)) as systemctl:
            self._check(expected, reader.properties())
            last_look()
            if boottime() >= deadline:
                raise Refused(f"the {spoken(self._total)} for restarting {target.id} were over before it was sent")
            systemctl.start()
            kill_point("act_sent", target.id)
            try:
                ended = systemctl.end(deadline)
            except OutOfTime as error:
                raise OutcomeUnknown(
                    f"systemd was given the restart of {target.id} and has not ended it after {spoken(self._total)}"
                ) from error
        return self._judge_result(ended, expected, reader)

    def _judge_result(self, ended: Ended, expected: Identity, reader: Reader) -> Identity:
        """The identity after it. Raises OutcomeUnknown where nobody knows, PermanentError where it did not come up."""
        target = self._target
        if ended.code != 0 and not _is_refusal(ended):
            raise OutcomeUnknown(f"the restart of {target.id} was sent, and its outcome is open: {_words(ended)}")
        try:
            after = reader.identity()
        except (TemporaryError, PermanentError) as error:
            if ended.code != 0:
                raise PermanentError(f"systemd did not restart {target.id}: {_words(ended)}") from error
            raise OutcomeUnknown(
                f"systemd restarted {target.id}, and does not say which life it is in: {error}"
            ) from error
        if ended.code != 0:
            raise PermanentError(f"systemd did not restart {target.id}: {_words(ended)}; it is {after.state} now")
        if not running(after) or _invocation(after) == _invocation(expected):
            raise PermanentError(
                f"systemd ended the restart of {target.id}, and it did not come up: it is {after.state} now"
            )
        return after

    def _check(self, expected: Identity, properties: dict[str, str]) -> None:
        """Raises TargetChanged for another instance than the judged one, Refused while somebody's job is at work."""
        now = _identity(properties)
        is_now, was = process_target.process_of(now), process_target.process_of(expected)
        if not same_instance(now.instance, expected.instance):
            raise TargetChanged(
                f"{self._target.id} is no longer the one that was judged: "
                f"invocation {_invocation(expected)}, pid {was[0]} then, {_invocation(now)}, pid {is_now[0]} now"
            )
        if properties.get("Job", "") not in ("", "0"):
            raise Refused(
                f"somebody else is at work on {self._target.id}: systemd has job {properties['Job']:.20} for it"
            )


def _there(target: Target, transport: Transport) -> None:
    """Refuse a unit of another machine: one of the same name here would be restarted instead."""
    if not transport.leads_to(target.host):
        raise PermanentError(
            f"{target.id} is a unit of {target.host}, and this machine is {transport.machine}: "
            "only units here can be reached"
        )


def _identity(properties: dict[str, str]) -> Identity:
    try:
        pid = int(properties["MainPID"])
    except ValueError as error:
        raise TemporaryError("systemd's answer names no process") from error
    return process_target.process_identity(
        pid=pid or None,
        started_at=_moment(properties.get("ExecMainStartTimestamp", "")) if pid else None,
        state=one_line(f"{properties['ActiveState']}/{properties['SubState']}"),
        invocation=properties.get("InvocationID") or None,
    )


def _invocation(identity: Identity) -> object:
    return identity.instance.get("invocation")


def _moment(text: str) -> float | None:
    """`Wed 2026-11-25 18:15:10 UTC`: systemd prints whole seconds."""
    if not text or text == "n/a":
        return None
    try:
        _, day, hour, zone = text.split(" ")
        return datetime.fromisoformat(f"{day}T{hour}{zone.replace('UTC', '+00:00')}").timestamp()
    except ValueError as error:
        raise TemporaryError(f"systemd printed an invalid time: {one_line(text):.40}") from error


def _is_refusal(ended: Ended) -> bool:
    return ended.code in _SAID_NO or _FAILED.search(ended.errors) is not None


def _words(ended: Ended) -> str:
    output = one_line(ended.errors or ended.output)[-500:]
    return output or f"systemctl ended with {ended.code}"


def forbidden(target: Target, transport: Transport, _remedy: str) -> str | None:
    """Why this user may not restart the unit, and what grants it. Raises TemporaryError or PermanentError."""
    return Reader(target, transport).forbidden()


def _owned(target: Target, pid: int, transport: Transport) -> bool:
    """Whether systemd, which is only ever asked on the target's own machine, names it as the unit's main process now."""
    return process_target.process_of(Reader(target, transport).identity())[0] == pid


EVIDENCE = {
    **process_target.evidence(lambda target, transport: Reader(target, transport).identity(), _owned),
    "journal": lambda target, transport: Reader(target, transport).journal(),
}
restarted = process_target.restarted


def log_lines(target: Target, transport: Transport, lines: int, since: float) -> Gathered:
    """The unit's journal since then (seconds since the epoch). Raises TemporaryError or PermanentError."""
    return Reader(target, transport, timedelta(seconds=3)).log_lines(lines, since)


resident_memory = partial(process_target.memory_of, owned=_owned)
process_id = partial(process_target.process_id, owned=_owned)
process_use = partial(process_target.use_of, owned=_owned)
