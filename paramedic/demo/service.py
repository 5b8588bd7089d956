"""`tracking-api`: where is my dinner? A small real HTTP service with a real fault: it remembers every answer for ever.

    GET /health          200 while it can answer
    GET /track/ORDER     the courier's position; with the fault switched on, a megabyte more is remembered each time
    GET /break           from now on /health says 503, until a restart

`python -m paramedic.demo.service PORT FOLDER [--leaks] [--starts-full MB] [--starts-broken]`.
Every start appends a line to FOLDER/starts.
"""

import argparse
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from paramedic.clock import iso, utc_now
from paramedic.lifeline import die_with_parent

_MEGABYTE = 1024 * 1024

#: What the fault keeps: position reports that nobody will ask for again.
_remembered: list[bytes] = []


class Tracking(BaseHTTPRequestHandler):
    """The two addresses."""

    server: "TrackingServer"

    def do_GET(self) -> None:
        """Answer, and with the fault on, never forget."""
        if self.path == "/health" and self.server.broken:
            self._answer(503, {"status": "broken"})
        elif self.path == "/health":
            self._answer(200, {"status": "ok"})
        elif self.path == "/break":
            self.server.broken = True
            self._answer(200, {"status": "broken from now on"})
        elif self.path.startswith("/track/"):
            if self.server.leaks:
                _remembered.append(os.urandom(1024) * 1024)
            self._answer(200, {"order": self.path.removeprefix("/track/")[:64], "minutes": 7})
        else:
            self._answer(404, {"error": "ask for /health or /track/ORDER"})

    def _answer(self, status: int, body: dict[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """One line a request, on standard output, where supervisord keeps it."""
        sys.stdout.write(f"{iso(utc_now())} {format % args}\n")
        sys.stdout.flush()


class TrackingServer(ThreadingHTTPServer):
    """A server that knows which of its faults are on."""

    daemon_threads = True
    leaks = False
    broken = False


def main() -> None:
    """Serve until told to stop, or until supervisord is gone."""
    parser = argparse.ArgumentParser(description="the demo's tracking-api")
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--leaks", action="store_true", help="remember a megabyte more with every order tracked")
    parser.add_argument("--starts-full", type=int, default=0, metavar="MB", help="need so much memory from the start")
    parser.add_argument("--starts-broken", action="store_true", help="say 503 from the start")
    asked = parser.parse_args()
    die_with_parent()
    with (asked.folder / "starts").open("a") as starts:
        starts.write(f"{iso(utc_now())} {os.getpid()}\n")
    _remembered.extend(os.urandom(1024) * 1024 for _ in range(asked.starts_full))
    server = TrackingServer(("127.0.0.1", asked.port), Tracking)
    server.leaks = asked.leaks
    server.broken = asked.starts_broken
    sys.stdout.write(f"{iso(utc_now())} tracking-api answers on 127.0.0.1:{asked.port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
