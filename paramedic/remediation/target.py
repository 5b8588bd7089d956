"""What is acted on. A target exists for Paramedic only if services.yaml lists it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Command:
    """A program that services.yaml declares for a target. It is an argument list: no shell, and no word of an alert."""

    name: str
    run: tuple[str, ...]  # the program, by an absolute path or a name on PATH, and its arguments
    timeout: timedelta
    cwd: str | None = None
    environment: tuple[str, ...] = ()  # the names of variables that it gets from Paramedic's own; PATH it always has


@dataclass(frozen=True, slots=True)
class Target:
    """One unit, program or process, by its canonical id: the same thing has one id, whichever alert names it."""

    id: str  # canonical: "<host>/<name>", e.g. "web-1/tracking-api"
    service: str
    host: str
    kind: str  # which integration knows it: "supervisord", "systemd"
    name: str  # its name there: the supervisord program, the systemd unit
    address: str  # where that integration finds it: "unix:///run/supervisor.sock", "http://127.0.0.1:9001"; systemd: ""
    health: str | None = None  # a URL that answers 2xx when the target is well
    log: str | None = None  # a file whose tail is evidence
    releases: str | None = None  # the folder with `releases/` and the `current` symlink
    commands: Mapping[str, Command] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which life of a target is meant: a restart changes it. `None` pid: it is not running."""

    pid: int | None
    started_at: float | None  # seconds since the epoch, by the system that owns the process
    state: str  # the owning system's word: RUNNING, STOPPED, FATAL, …; active/running, failed/failed, …
    revision: str | None = None  # which release it runs
    invocation: str | None = None  # systemd's InvocationID

    @property
    def unclear(self) -> bool:
        """Whether its owner itself does not know whether it is up."""
        return self.state.upper() == "UNKNOWN"
