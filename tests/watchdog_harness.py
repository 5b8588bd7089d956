"""What the watchdog looks at: a Prefect and a gateway that can be silent, and somebody outside who hears its heart."""

import json
import threading
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from databases import Clock
from mail_server import Postbox

from paramedic.incidents.incident import Incident
from paramedic.store import Store, attempts, incidents, messages, trail
from paramedic.watchdog.watchdog import Watchdog


class Outside:
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
        outside = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outside._answer(self, None)

            def do_POST(self) -> None:
                outside._answer(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def _answer(self, request: BaseHTTPRequestHandler, body: Any) -> None:
        self.asked.append(f"{request.command} {request.path}")
        who = request.path.split("/")[1]
        if who in self.silent:
            request.close_connection = True
            return
        answer: Any
        match [request.command, *request.path.split("/")[1:]]:
            case _ if who in self.broken:
                status, answer = 503, {}
            case ["GET", "api", "health"]:
                status, answer = 200, True
            case ["GET", "api", "flow_runs", run] if run in self.runs:
                state = {"type": self.runs[run], "message": self.messages.get(run)}
                status, answer = 200, {"id": run, "state_type": self.runs[run], "state": state}
            case ["POST", "api", "logs", "filter"]:
                [run] = body["logs"]["flow_run_id"]["any_"]
                status, answer = 200, [{"message": error} for error in self.errors.get(run, [])]
            case ["GET", "api", "flow_runs", _]:
                status, answer = 404, {"detail": "Flow run not found"}
            case ["POST", "api", "flow_runs", run, "set_state"] if run in self.runs:
                self.runs[run] = body["state"]["type"]
                status, answer = 201, {"status": "ACCEPT"}
            case ["GET", "healthz" | "readyz"]:
                status, answer = 200, "ok"
            case ["POST", "heart"]:
                self.heartbeats.append(body)
                status, answer = 200, "ok"
            case _:
                self.strange.append(request.path)
                status, answer = 404, {}
        request.send_response(status)
        request.end_headers()
        request.wfile.write(json.dumps(answer).encode())

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


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
