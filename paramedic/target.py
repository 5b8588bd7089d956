"""What is acted on. A target exists for Paramedic only if services.yaml lists it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """One unit, program or process, by its canonical id: the same thing has one id, whichever alert names it."""

    id: str  # canonical: "<host>/<name>", e.g. "web-1/tracking-api"
    service: str
    host: str
    kind: str  # which integration knows it: "supervisord"
    name: str  # its name there: the supervisord program
    address: str  # where that integration finds it: "unix:///run/supervisor.sock" or "http://127.0.0.1:9001"
    health: str | None = None  # a URL that answers 2xx when the target is well
    log: str | None = None  # a file whose tail is evidence


@dataclass(frozen=True, slots=True)
class Identity:
    """Which life of a target is meant: a restart changes it. `None` pid: it is not running."""

    pid: int | None
    started_at: float | None  # seconds since the epoch, by the system that owns the process
    state: str  # the owning system's word: RUNNING, STOPPED, FATAL, …
