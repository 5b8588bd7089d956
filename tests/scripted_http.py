"""An HTTP server that answers as a test's function says, and keeps what it was asked."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str  # with its query
    headers: Mapping[str, str]  # by lower-case name
    body: bytes


class Said(NamedTuple):
    """One answer; it begins after so many seconds, or when the test is over."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}
    late: float = 0.0


@dataclass
class Server:
    """Where it listens, and every request so far."""

    url: str
    answer: Callable[[Asked], Said]
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def scripted(answer: Callable[[Asked], Said]) -> Iterator[Server]:
    """Serve on a free port of loopback until the block ends."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, self.rfile.read(length))
            server.asked.append(asked)
            said = server.answer(asked)
            if said.late and over.wait(said.late):
                return
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(said.body)

        do_GET = do_POST = do_HEAD = do_OPTIONS = _any  # noqa: N815 - as BaseHTTPRequestHandler calls them

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        server = Server(f"http://127.0.0.1:{listening.server_address[1]}", answer)
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            over.set()
            listening.shutdown()
            thread.join()
