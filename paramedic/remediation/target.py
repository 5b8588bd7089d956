"""Targets: what is acted on. A target exists for Paramedic only if services.yaml lists it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from paramedic.incidents.tier import Tier
from paramedic.remediation.host import Host
from paramedic.remediation.release import Release


@dataclass(frozen=True, slots=True)
class Command:
    """A program that services.yaml declares for a target: an argument list, without a shell and without text from an alert."""

    name: str
    run: tuple[str, ...]  # the program, by an absolute path or a name on PATH, and its arguments
    timeout: timedelta
    cwd: str | None = None
    environment: tuple[str, ...] = ()  # the names of variables that it gets from Paramedic's own; PATH it always has


@dataclass(frozen=True, slots=True)
class Target:
    """One unit, program or process, with one canonical id whichever alert names it."""

    id: str  # canonical: "<host>/<name>", e.g. "web-1/tracking-api"; "<host>/<kind>:<name>" of most kinds
    service: str
    host: str
    kind: str  # which integration knows it: "supervisord", "systemd"
    name: str  # its name there: the supervisord program, the systemd unit
    address: str  # where that integration finds it: "unix:///run/supervisor.sock", "http://127.0.0.1:9001"; systemd: ""
    health: str | None = None  # a URL that answers 2xx when the target is well
    log: str | None = None  # a file whose tail is evidence
    releases: str | None = None  # the folder with `releases/` and the `current` symlink
    commands: Mapping[str, Command] = field(default_factory=dict, hash=False)
    machine: Host | None = (
        None  # what services.yaml says of `host`; None: nothing, so it is the machine that Paramedic runs on
    )
    words: Any = field(default=None, compare=False)  # the value of its kind's key in services.yaml, for its kind alone
    noted: tuple[Release, ...] = field(
        default=(), compare=False
    )  # what Paramedic has seen it run, the last first, where its kind's releases are noted
    overlapping: tuple[str, ...] = ()  # ids of the listed targets that it is a part of, and of its parts
    configuration: tuple[str, ...] = ()  # files and folders whose changes are told, with nothing of their content
    tier: Tier = field(default=Tier.STANDARD, compare=False)  # of its service

    @property
    def elsewhere(self) -> bool:
        """Whether it is on another machine than Paramedic, as services.yaml says."""
        return self.machine is not None and (self.machine.ssh is not None or self.machine.kubernetes is not None)


#: What distinguishes the instances of a kind of target, by name; a value may be unknown.
Instance = Mapping[str, str | int | float | None]


@dataclass(frozen=True, slots=True)
class Identity:
    """One running instance of a target, described by its kind: a restart changes it."""

    state: str  # the owning system's word: RUNNING, STOPPED, FATAL, …; active/running, failed/failed, …
    instance: Instance = field(default_factory=dict, hash=False)  # `started_at`: seconds since the epoch, to be shown
    revision: str | None = None  # which release it runs

    @property
    def unclear(self) -> bool:
        """Whether its supervisor itself does not know whether it is up: it says UNKNOWN, or UNKNOWN/ and more."""
        return self.state.upper().partition("/")[0] == "UNKNOWN"

    def means(self, other: "Identity") -> bool:
        """Whether both are the same instance (`same_instance`) of the same release, whatever its state."""
        return self.revision == other.revision and same_instance(self.instance, other.instance)

    def as_json(self) -> dict[str, Any]:
        """The identity as the store and the trail hold it."""
        more = {} if self.revision is None else {"revision": self.revision}
        return {**self.instance, "state": self.state, **more}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Identity":
        """The identity that `as_json` of any version wrote."""
        instance = dict(fields)
        state, revision = instance.pop("state"), instance.pop("revision", None)
        return cls(state, instance, revision)


def same_instance(one: Instance, other: Instance) -> bool:
    """Whether both describe the same instance; a fact unknown on both sides is ignored.

    `started_at` is by a clock that may be set, and an owner may correct it then: it counts for nothing where both sides know
    `invocation`, the owner's own name of the instance.
    """
    mine, theirs = _known(one), _known(other)
    if mine.keys() & theirs.keys() >= {"invocation"}:
        mine, theirs = _without_start(mine), _without_start(theirs)
    return mine == theirs


def _known(instance: Instance) -> Instance:
    return {name: value for name, value in instance.items() if value is not None}


def _without_start(instance: Instance) -> Instance:
    return {name: value for name, value in instance.items() if name != "started_at"}
