"""`tracking-api`: where is my dinner? A small real HTTP service with real faults that can be switched on.

    GET /health          200 while it can answer
    GET /track/ORDER     the courier's position; with the leak switched on, a megabyte more is remembered each time
    GET /break           from now on /health says 503, until a restart
    GET /hang            from now on nothing is answered, until a restart

`python -m paramedic.demo.service PORT FOLDER [--release FOLDER] [--leaks] [--starts-full MB] [--starts-broken]`.
Every start appends a line to FOLDER/starts. What is deployed is a folder with `release.json`: `{"errors": 0.2,
"slow_ms": 400}` is a bad release, which answers every fifth request with 500 and takes its time for all; one with
`{"crashes": true}` ends as soon as it has started.
"""

import argparse
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from paramedic.machine.clock import iso, utc_now
from paramedic.machine.parent_death import die_with_parent

#: What the fault keeps: position reports that nobody will ask for again.
_remembered: list[bytes] = []


class Tracking(BaseHTTPRequestHandler):
    """The HTTP handler of the service."""

    server: "TrackingServer"

    def do_GET(self) -> None:
        """Answer as the faults allow."""
        if self.path == "/hang":
            self._answer(200, {"status": "hangs from now on"})
            self.server.hangs.set()
            return
        if self.server.hangs.is_set():
            threading.Event().wait()  # until a restart
        time.sleep(self.server.slow_ms / 1000)
        if self.path == "/health" or self.path.startswith("/track/"):
            self.server.owed_errors += self.server.errors
            if self.server.owed_errors >= 1:
                self.server.owed_errors -= 1
                self._answer(500, {"error": "this release is a bad one"})
                return
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
    errors = 0.0  # this share of the answers is a 500
    slow_ms = 0
    owed_errors = 0.0

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Tracking)
        self.hangs = threading.Event()


def main() -> None:
    """Serve until told to stop, or until supervisord is gone."""
    parser = argparse.ArgumentParser(description="the demo's tracking-api")
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--release", type=Path, help="the folder of the release that is deployed")
    parser.add_argument("--leaks", action="store_true", help="remember a megabyte more with every order tracked")
    parser.add_argument("--starts-full", type=int, default=0, metavar="MB", help="need so much memory from the start")
    parser.add_argument("--starts-broken", action="store_true", help="say 503 from the start")
    asked = parser.parse_args()
    die_with_parent()
    with (asked.folder / "starts").open("a") as starts:
        starts.write(f"{iso(utc_now())} {os.getpid()}\n")
    _remembered.extend(os.urandom(1024) * 1024 for _ in range(asked.starts_full))
    server = TrackingServer(asked.port)
    if asked.release is not None:
        release = json.loads((asked.release / "release.json").read_text())
        if release.get("crashes"):
            sys.exit("this release cannot start")
        server.errors, server.slow_ms = release.get("errors", 0.0), release.get("slow_ms", 0)
    server.leaks = asked.leaks
    server.broken = asked.starts_broken
    sys.stdout.write(f"{iso(utc_now())} tracking-api answers on 127.0.0.1:{asked.port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
