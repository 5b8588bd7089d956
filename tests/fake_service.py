"""A service under observation: a real HTTP server that is well, slow, ill or silent, as a test says."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from paramedic.remediation.target import Target


class Service(ThreadingHTTPServer):
    """Answers 200 until it is told otherwise."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status = 200
        self.late = 0.0  # seconds
        self.asked = 0
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/health"

    def hang(self) -> None:
        """From now on nobody gets an answer."""
        self.late = 30.0


class _Answer(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        service = self.server
        service.asked += 1
        if service.late and service.over.wait(service.late):
            return
        self.send_response(service.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serving() -> Iterator[Service]:
    with Service() as service:
        thread = threading.Thread(target=service.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield service
        service.over.set()
        service.shutdown()


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as service:
        yield service


def target(health: str | None = None, host: str = "web-1") -> Target:
    name = "tracking-api"
    return Target(f"{host}/{name}", name, host, "supervisord", name, "unix:///nowhere/at/all", health=health)
