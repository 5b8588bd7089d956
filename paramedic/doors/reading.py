"""The door to reads, which never change a target."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, cast

from paramedic.alerts.alert import Alert
from paramedic.doors import integration
from paramedic.doors.transports import transport
from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds import registry
from paramedic.kinds.changes import Changes
from paramedic.kinds.evidence import LOG_TAIL, ByDeadline, EvidenceKind, FromBeginning, Gathered, Of, Scene, name_of
from paramedic.kinds.faces import TargetKind, TargetReader
from paramedic.kinds.probing import DOWN, UNREADY, ProcessUse, Seen
from paramedic.kinds.registry import Room
from paramedic.kinds.remedy_names import RENEWING
from paramedic.kinds.transport import Mark, MarkState
from paramedic.machine.clock import utc_now
from paramedic.machine.open_transaction import must_be_closed
from paramedic.remediation.host import Host
from paramedic.remediation.reach import View
from paramedic.remediation.release import Release
from paramedic.remediation.target import Identity, Target

if TYPE_CHECKING:
    from paramedic.integrations.probes.tcp import Connection
    from paramedic.transports.http_probe import Probe

#: Acts that a kind which keeps no releases itself does in a folder, and by a restart.
_BY_A_FOLDER = ("roll_back", "undo")


def kind_of(target: Target) -> TargetKind:
    """What its kind of target decides. Raises PermanentError if there is none, or none that can be used."""
    return cast("TargetKind", registry.current().plugin(Room.TARGETS, target.kind))


def reader(target: Target) -> TargetReader:
    """The reader of this target. Raises PermanentError if no integration reads its kind."""
    return cast("TargetReader", integration("targets", target.kind, "Reader")(target, transport(target)))


def running(target: Target, identity: Identity) -> bool:
    """Whether the target's supervisor says that it is up, which does not prove that it is well."""
    return kind_of(target).running(identity)


def restarted(target: Target, before: Identity, now: Identity) -> bool:
    """Whether another instance of the target is there now than before."""
    return kind_of(target).restarted(before, now)


def time_for(target: Target, remedy: str | None, *, at_least: timedelta) -> timedelta:
    """How long a change may take: `at_least`, or what its kind says of this remedy of its own (`time_for`) where that is more."""
    asks = getattr(kind_of(target), "time_for", None)
    return at_least if asks is None or remedy is None else max(at_least, asks(target, remedy))


def foreseen(target: Target, remedy: str, alerts: Sequence[Alert]) -> str:
    """What this remedy of its kind's own would touch of the target now, in words; empty where its kind does not tell.

    Nothing is done to the target. Raises Refused where the remedy would be refused; TemporaryError, PermanentError.
    """
    must_be_closed("a target is looked at")
    look = getattr(kind_of(target), "foreseen", None)
    return "" if look is None else str(look(target, transport(target), remedy, alerts))


def asks_for_rights(target: Target) -> bool:
    """Whether its kind can tell what this user may do to the target: `forbidden` asks it."""
    return hasattr(kind_of(target), "forbidden")


def forbidden(target: Target, remedy: str) -> str | None:
    """Why this user may not do the remedy of its kind's own to the target, and what grants it; None where it may.

    Nothing is done to the target. Raises TemporaryError, or PermanentError where the kind cannot tell too.
    """
    must_be_closed("a target is looked at")
    look = getattr(kind_of(target), "forbidden", None)
    if look is None:
        raise PermanentError(f"{target.id} is a {target.kind} target, which does not tell who may change it")
    return cast("str | None", look(target, transport(target), remedy))


def evidence(target: Target, kind: str, deadline: float | None = None) -> Gathered:
    """A piece of evidence of this kind, gathered by the target's kind; by the deadline, if it keeps to one.

    Raises TemporaryError or PermanentError, where the target's kind offers no such piece too.
    """
    must_be_closed("evidence of a target is gathered")
    gather = kind_of(target).EVIDENCE.get(kind)
    if gather is None:
        raise PermanentError(
            f"{target.id} is a {target.kind} target, and offers no {kind}: name its `log` in services.yaml"
        )
    if isinstance(gather, ByDeadline):
        return gather(target, transport(target), deadline)
    found = gather(target, transport(target))
    return found if isinstance(found, Gathered) else Gathered(str(found), from_beginning=_begins(gather))


def gathered(target: Target, kind: str, deadline: float, since: datetime) -> Gathered:
    """A piece of evidence of this kind, by `deadline` (of `boottime`) where its kind keeps to one.

    `since`: when what is wrong began. Raises TemporaryError or PermanentError, where the target offers no such piece too.
    """
    if kind == LOG_TAIL:
        return Gathered(log_tail(target), from_beginning=False)
    if kind in kind_of(target).EVIDENCE or (module := _evidence_kind(kind)) is None:
        return evidence(target, kind, deadline)
    must_be_closed("evidence of a target is gathered")
    return module.gather(_scene(target, module.OF, deadline, since))


def _evidence_kind(kind: str) -> EvidenceKind | None:
    plugins, name = registry.current(), name_of(kind)
    return cast("EvidenceKind", plugins.plugin(Room.EVIDENCE, name)) if name in plugins.names(Room.EVIDENCE) else None


def _scene(target: Target, of: Of, deadline: float, since: datetime) -> Scene:
    """What evidence is gathered by. Raises PermanentError where it is the host's, and no host of that name can be looked at."""
    way, kind = transport(target), kind_of(target)
    on_machine = getattr(kind, "REACHED_BY", "machine") == "machine"
    if of is Of.HOST and not on_machine:
        raise PermanentError(f"{target.id} is a {target.kind} target, which is on no host of its own")
    if of in (Of.HOST, Of.PLACE) and on_machine and target.machine is None and not way.leads_to(target.host):
        raise PermanentError(
            f"{target.host} is not known to be this machine, {way.machine}: list it under `hosts` in services.yaml"
        )

    def process_id() -> int:
        look = getattr(kind, "process_id", None)
        if look is None:
            raise PermanentError(f"{target.id} is a {target.kind} target, which has no process to look at")
        return int(look(target, reader(target).identity(), way))

    def log_lines(lines: int, since_seconds: float) -> Gathered:
        look = getattr(kind, "log_lines", None)
        if look is None:
            raise PermanentError(f"{target.id} is a {target.kind} target, whose owner keeps no log")
        found = look(target, way, lines, since_seconds, deadline)
        return found if isinstance(found, Gathered) else Gathered(str(found))

    def changes(from_then: datetime) -> Changes | None:
        look = getattr(kind, "changes", None)
        return None if look is None else cast("Changes", look(target, way, from_then, deadline))

    return Scene(
        target,
        way,
        deadline,
        since,
        utc_now(),
        process_id,
        releases=lambda: releases(target).all(),
        log_lines=log_lines,
        on_machine=on_machine,
        changes=changes,
    )


def begins_with_most(target: Target, kind: str) -> bool:
    """Whether the beginning of this evidence of the target is what to keep where it is too long."""
    own = kind_of(target).EVIDENCE
    return _begins(own[kind]) if kind in own else _evidence_kind(kind) is not None


def _begins(gather: object) -> bool:
    return isinstance(gather, FromBeginning) or (isinstance(gather, ByDeadline) and gather.from_beginning)


def resident_memory(target: Target, identity: Identity) -> int:
    """Bytes of memory that this instance of the target holds.

    Raises TemporaryError, or PermanentError where its kind does not offer it.
    """
    must_be_closed("a target is looked at")
    look = getattr(kind_of(target), "resident_memory", None)
    if look is None:
        raise PermanentError(f"{target.id} is a {target.kind} target, which does not tell its memory")
    return int(look(target, identity, transport(target)))


def process_use(target: Target) -> tuple[ProcessUse, str]:
    """What the target's process uses, and which process that is, in words.

    Raises TemporaryError, or PermanentError where it has none there, or its kind knows none.
    """
    must_be_closed("a target is looked at")
    look = getattr(kind_of(target), "process_use", None)
    if look is None:
        raise PermanentError(f"{target.id} is a {target.kind} target, which has no process to measure")
    return cast("tuple[ProcessUse, str]", look(target, reader(target).identity(), transport(target)))


def sessions(target: Target) -> Seen:
    """The raw values of the target's sessions, and what was seen, in words.

    Raises TemporaryError, or PermanentError where its kind counts none.
    """
    must_be_closed("a target is looked at")
    look = getattr(kind_of(target), "sessions", None)
    if look is None:
        raise PermanentError(f"{target.id} is a {target.kind} target, which has no sessions")
    return cast("Seen", look(target, transport(target)))


def free_space(target: Target) -> Seen:
    """The raw values of the target's free space, and what was seen, in words.

    Raises TemporaryError, or PermanentError where its kind measures none.
    """
    must_be_closed("a target is looked at")
    look = getattr(kind_of(target), "free_space", None)
    if look is None:
        raise PermanentError(f"{target.id} is a {target.kind} target, which has no free space to measure")
    return cast("Seen", look(target, transport(target)))


def readiness(target: Target) -> Seen:
    """What the target's owner says of it: the raw values DOWN and UNREADY of `paramedic.kinds.probing`, and its state in words.

    Raises TemporaryError or PermanentError where the owner does not say it, as where its host is not reached.
    """
    must_be_closed("a target is looked at")
    kind = kind_of(target)
    if (look := getattr(kind, "readiness", None)) is not None:
        return cast("Seen", look(target, transport(target)))
    found = reader(target).identity()
    if found.unclear:
        raise TemporaryError(f"its {target.kind} does not know how it is: {found.state}")
    down = not kind.running(found)
    return {DOWN: float(down), UNREADY: 100.0 * down}, f"its {target.kind} says {found.state}"


def identity(target: Target) -> Identity:
    """The running instance of the target, with its release if that can be read. Raises TemporaryError or PermanentError."""
    found = reader(target).identity()
    if target.releases is None:
        return found
    with suppress(TemporaryError, PermanentError):  # whoever needs the release asks for it, and hears why
        return replace(found, revision=releases(target).current().id)
    return found


def mark(target: Target, act: str, verb: str) -> Mark | None:
    """What the target's machine, or where its kind looks, itself knows of the act with this id; None where nobody does.

    `verb`: what the act is (`restart`, `roll_back`, `run`). Whatever the kind, a command of `run` leaves its mark on the machine;
    of a roll-back by a release folder only the restart after it does. Once a machine was asked, an act that had not begun cannot
    begin. Raises TemporaryError or PermanentError.
    """
    must_be_closed("a machine is asked what became of a change")
    way, asks = transport(target), getattr(kind_of(target), "mark", None)
    if asks is not None and verb != "run":
        return cast("Mark | None", asks(target, way, act))
    found = way.mark(act)
    if found is not None and found.state is MarkState.DID_NOT and verb in _BY_A_FOLDER:
        return Mark(found.state, where="the restart after it never began, and never will")
    return found


def keeps_releases(target: Target) -> bool:
    """Whether the target's own owner keeps its releases, and replaces what runs when it goes back to one."""
    return hasattr(kind_of(target), "Releases")


def merged_by_people(target: Target) -> bool:
    """Whether a roll-back of the target changes nothing before a person has merged it."""
    asks = getattr(kind_of(target), "merged_by_people", None)
    return asks is not None and bool(asks(target))


def undoable(target: Target) -> Collection[str]:
    """Which of its kind's own remedies can be undone."""
    return cast("Collection[str]", getattr(kind_of(target), "UNDOES", ()))


def renews(target: Target, remedy: str) -> bool:
    """Whether another instance of the target runs after this remedy of its kind's own: a success that leaves the same is none."""
    return remedy in getattr(kind_of(target), "RENEWS", RENEWING)


def releases_are_noted(target: Target) -> bool:
    """Whether nobody keeps a record of the releases that the target ran before, so that Paramedic notes what it sees."""
    return getattr(kind_of(target), "RELEASES_ARE_NOTED", False) is True


def noted_as(target: Target, identity: Identity) -> tuple[str | None, bool]:
    """What is noted of the release that a target runs, and whether its owner shows by itself that it is well with it."""
    of = getattr(kind_of(target), "noted_as", None)
    return (identity.revision, False) if of is None else of(identity)


class Releases(Protocol):
    """Looks at the releases of one target."""

    def current(self) -> Release:
        """The release that runs once the target is restarted. Raises PermanentError if the folder is not in order."""

    def before(self) -> Release:
        """The last healthy release before the current one. Raises Refused if there is none, PermanentError as `current` does."""

    def all(self) -> list[Release]:
        """Every release in the folder, the last deployed first. Raises PermanentError as `current` does."""

    def obstacles(self) -> list[str]:
        """What would keep a roll-back from being carried out now, with what to do about it. Raises as `current` does."""


def releases(target: Target) -> Releases:
    """The Releases of this target. Raises PermanentError if its kind keeps none and services.yaml names no folder for them."""
    if keeps_releases(target):
        return cast("Releases", integration("targets", target.kind, "Releases")(target, transport(target)))
    if target.releases is None:
        raise PermanentError(f"services.yaml names no `releases` for {target.id}")
    must_be_closed("the releases of a target are looked at")
    from paramedic.integrations.remedies import release_folder

    return release_folder.Reader(target, transport(target))


def command_ready(target: Target, name: str, variables: Mapping[str, str]) -> None:
    """Prepare a declared command as its run does, and start nothing. `variables`: those that it may be given.

    Raises PermanentError where its program, its folder or one of its variables is not there.
    """
    must_be_closed("a command is looked for")
    from paramedic.integrations.remedies import command

    declared = target.commands[name]
    with command.prepared(target, declared, transport(target), variables, declared.timeout):
        pass


def probe(url: str, timeout: timedelta) -> "Probe":
    """Ask a health URL once; see `paramedic.transports.http_probe`."""
    must_be_closed("a target is looked at")
    from paramedic.transports import http_probe

    return http_probe.probe(url, timeout)


def is_a_program(target: Target) -> bool:
    """Whether the target is one program that runs, as whose answer that of its health address may be taken."""
    kind = kind_of(target)
    return hasattr(kind, "process_id") or getattr(kind, "IS_A_PROGRAM", False) is True


def seen_from(viewer: Host | None, to: Sequence[tuple[str, int]], deadline: float) -> View:
    """Whether another host (None: this machine) gets an answer at these addresses; see `paramedic.transports.ssh_view`."""
    must_be_closed("a host is asked for its view")
    from paramedic.transports import ssh_view  # paramiko: only who has such a host loads it

    return ssh_view.from_here(to, deadline) if viewer is None else ssh_view.view(viewer, to, deadline)


def connect(host: str, port: int, timeout: timedelta) -> "Connection":
    """Try one TCP connection; see `paramedic.integrations.probes.tcp`."""
    must_be_closed("a target is looked at")
    from paramedic.integrations.probes import tcp

    return tcp.connect(host, port, timeout)


def log_tail(target: Target) -> str:
    """The end of the target's log. Raises TemporaryError or PermanentError, where services.yaml names none too."""
    must_be_closed("a target is looked at")
    if target.log is None:
        raise PermanentError(f"services.yaml names no log for {target.id}")
    return transport(target).tail(target.log)
