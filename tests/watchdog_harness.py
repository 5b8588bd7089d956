"""What the watchdog looks at: a Prefect and a gateway that can be silent, and somebody outside who hears its heart."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from databases import Clock
from local_api import Answer, LocalApi
from mail_server import Postbox

from paramedic.incidents.incident import Incident
from paramedic.store import Store, attempts, incidents, messages, trail
from paramedic.watchdog.watchdog import Watchdog


class Outside(LocalApi):
    """Prefect's REST API (`/api`), the gateway (`/healthz`, `/readyz`) and a heartbeat's receiver (`/heart`), on one port.

    `silent` names who cuts every connection (`api`, `healthz`, `heart`), `broken` who answers 503. Whatever is asked
    that none of them knows is in `strange`.
    """

    def __init__(self) -> None:
        self.runs: dict[str, str] = {}
        self.messages: dict[str, str] = {}  # of a run's state
        self.errors: dict[str, list[str]] = {}  # in a run's log
        self.silent: set[str] = set()
        self.broken: set[str] = set()
        self.asked: list[str] = []
        self.strange: list[str] = []
        self.heartbeats: list[dict[str, Any]] = []
        super().__init__()

    def answer(self, command: str, path: str, body: Any) -> Answer | None:
        self.asked.append(f"{command} {path}")
        who = path.split("/")[1]
        if who in self.silent:
            return None
        match [command, *path.split("/")[1:]]:
            case _ if who in self.broken:
                return 503, {}
            case ["GET", "api", "health"]:
                return 200, True
            case ["GET", "api", "flow_runs", run] if run in self.runs:
                state = {"type": self.runs[run], "message": self.messages.get(run)}
                return 200, {"id": run, "state_type": self.runs[run], "state": state}
            case ["POST", "api", "logs", "filter"]:
                [run] = body["logs"]["flow_run_id"]["any_"]
                return 200, [{"message": error} for error in self.errors.get(run, [])]
            case ["GET", "api", "flow_runs", _]:
                return 404, {"detail": "Flow run not found"}
            case ["POST", "api", "flow_runs", run, "set_state"] if run in self.runs:
                self.runs[run] = body["state"]["type"]
                return 201, {"status": "ACCEPT"}
            case ["GET", "healthz" | "readyz"]:
                return 200, "ok"
            case ["POST", "heart"]:
                self.heartbeats.append(body)
                return 200, "ok"
            case _:
                self.strange.append(path)
                return 404, {}


@dataclass
class Harness:
    """A watchdog whose time is moved by hand."""

    watchdog: Watchdog
    store: Store
    clock: Clock
    outside: Outside
    postbox: Postbox

    def after(self, seconds: float, *, looks: int = 1) -> None:
        """Let time pass, then look."""
        self.clock.advance(timedelta(seconds=seconds))
        for _ in range(looks):
            self.watchdog.look()

    def now(self, incident: Incident) -> Incident:
        with self.store.read() as tx:
            return incidents.get(tx, incident.number)

    def attempts(self, incident: Incident) -> list[str]:
        with self.store.read() as tx:
            return [attempt.state for attempt in attempts.of(tx, incident.number)]

    def rungs(self, incident: Incident) -> list[tuple[int, str]]:
        with self.store.read() as tx:
            return [(message.step, message.state) for message in messages.of(tx, incident.number)]

    def reasons(self) -> list[str]:
        with self.store.read() as tx:
            return [entry.reason for entry in trail.entries(tx)]
