"""Looks at a unit of systemd, by systemctl and journalctl on the target's machine."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds import process_target, unit_journal
from paramedic.kinds.evidence import Gathered, time_left
from paramedic.kinds.transport import KEPT, MOST_KEPT, Ended, OutOfTime, Transport
from paramedic.machine.clock import boottime, spoken
from paramedic.processes import systemctl
from paramedic.remediation.target import Identity, Target
from paramedic.text.sanitize import one_line, without_colours

#: What is asked about a journal beside its lines is worth no more.
_ONE_MORE_LOOK = timedelta(seconds=1)


def running(identity: Identity) -> bool:
    """Whether systemd reports the unit as up, which does not prove that it is well."""
    return process_target.has_process(identity) and identity.state.startswith(("active/", "reloading/"))


#: A journal of which so many bytes came is taken for one whose older lines were left out.
_ALMOST_ALL = KEPT * 3 // 4


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
        return identity_of(self.properties())

    def properties(self) -> dict[str, str]:
        """The unit's properties. Raises as `identity` does."""
        target = self._target
        properties = dict(
            line.partition("=")[::2]
            for line in self._ask(systemctl.show(target.name)).splitlines()
            if line.count("=") >= 1
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

    def journal(self, lines: int = 100) -> Gathered:
        """The unit's last lines in the journal, and in words which of them are missing, or this user may not see.

        Raises PermanentError if this user may not read it, TemporaryError if journalctl does not answer.
        """
        began, unit = boottime(), self._target.name
        read = without_colours(self._ask(systemctl.journal(unit, lines)))
        unseen: list[str] = []
        if len(read.splitlines()) < lines and len(read.encode()) > _ALMOST_ALL:
            shows = f"`journalctl --unit={unit}` shows them"
            unseen = [f"lines before these: at most {KEPT:,} bytes of it are kept; {shows}"]
        elif len(read.splitlines()) < lines:
            soon = Reader(self._target, self._transport, time_left(began + self._timeout.total_seconds()))
            unseen = unit_journal.hidden(lambda: soon._run((*systemctl.SPOKEN, *unit_journal.FIRST)))
        return Gathered(read or f"the journal has no line of {unit} that this user may read", unseen)

    def log_lines(self, lines: int, since: float) -> Gathered:
        """The unit's last lines in the journal since then, each after its time; and what is missing. Raises as `journal` does."""
        unit = self._target.name
        ended = self._run((*systemctl.SPOKEN, *unit_journal.lines_of(unit, lines)), kept=MOST_KEPT)
        soon = Reader(self._target, self._transport, _ONE_MORE_LOOK)
        return unit_journal.read(unit, lines, since, ended, lambda: soon._run((*systemctl.SPOKEN, *unit_journal.FIRST)))

    def forbidden(self, verb: str = "restart") -> str | None:
        """Why systemd would not let this user restart or reload the unit, and what grants it; None where it would.

        Nothing is done to the unit. Raises as `identity` does.
        """
        unit = self._target.name
        if verb == "reload" and (why := unreloadable(self.properties())) is not None:
            return f"{unit} {why}"
        if self._transport.by_sudo:
            return self._lacking_sudo(verb)
        if self.properties().get("AllowIsolate") != "no":
            return f"who may {verb} {unit} cannot be asked safely: it is none of systemd's units with AllowIsolate=no"
        words = systemctl.words(self._run(systemctl.never_done(verb, unit)))
        if systemctl.WOULD_HAVE in words:
            return None
        if not systemctl.NO_RIGHT.search(words):
            return f"systemd would not {verb} {unit}: {words}"
        return (
            f"the user {self._user()} may not {verb} {unit} ({words}): give it the polkit rule of docs/targets.md for this "
            f"unit and the verb {verb} (/etc/polkit-1/rules.d), and see that polkit runs"
        )

    def _lacking_sudo(self, verb: str) -> str | None:
        """What keeps sudo from doing it as it is done: all that is missing is found before a start."""
        try:
            with self._transport.command(systemctl.job(verb, self._target.name)):
                return None
        except PermanentError as error:
            return str(error)

    def _user(self) -> str:
        """The user that the transport works as there, by its name."""
        ended = self._run(("id", "-un"))
        return one_line(ended.output.strip()) if ended.code == 0 else "of this process"

    def _run(self, command: tuple[str, ...], **kept: int) -> Ended:
        _is_there(self._target, self._transport)
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
        words = f"{self._target.id}: {systemctl.words(ended)}"
        if ended.code in systemctl.SAID_NO or re.search(r"not been booted|[Pp]ermission|Access denied", ended.errors):
            raise PermanentError(words)
        raise TemporaryError(words)


def unreloadable(properties: Mapping[str, str]) -> str | None:
    """Why systemd has no way to reload the unit, and what would be one; None where it has."""
    if properties.get("CanReload") == "yes":
        return None
    return "cannot be reloaded: its unit file has neither ExecReload= nor Type=notify-reload"


def _is_there(target: Target, transport: Transport) -> None:
    """Refuse a unit of another machine: one of the same name here would be restarted instead."""
    if not transport.leads_to(target.host):
        raise PermanentError(
            f"{target.id} is a unit of {target.host}, and this machine is {transport.machine}: "
            "only units here can be reached"
        )


def identity_of(properties: Mapping[str, str]) -> Identity:
    """The instance that the properties describe. Raises TemporaryError where they describe none."""
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


def invocation_of(identity: Identity) -> object:
    """The name that systemd gives the instance: it changes whenever the unit is started."""
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
