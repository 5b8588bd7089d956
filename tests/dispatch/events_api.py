"""Where events are told, in the test's own process."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class EventsApi(ThreadingHTTPServer):
    """The part of Prefect's API that takes events, and keeps once what it gets twice: an event is its id."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Events)
        self.kept: dict[str, dict[str, Any]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api"

    @property
    def names(self) -> list[str]:
        """Of the events, in the order in which they came."""
        return [event["event"] for event in self.kept.values()]


class _Events(BaseHTTPRequestHandler):
    server: EventsApi

    def do_POST(self) -> None:
        events = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for event in events if self.path == "/api/events" else []:
            self.server.kept.setdefault(event["id"], event)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...
