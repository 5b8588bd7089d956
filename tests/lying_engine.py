"""A Docker Engine that says what a test wants it to say."""

import json
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from paramedic.remediation.target import Identity, Target

ID = "d0a2" * 16


def said(status: str, body: bytes = b"", *, server: str = "Docker/24.0.7 (linux)") -> bytes:
    head = f"HTTP/1.1 {status}\r\nServer: {server}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def container(started: str, status: str = "running", *, stop: int | None = None, **labels: str) -> bytes:
    state = {"Status": status, "StartedAt": started}
    config = {"Tty": False, "StopTimeout": stop, "Labels": labels or None}
    return said("200 OK", json.dumps({"Id": ID, "Name": "/web", "State": state, "Config": config}).encode())


BEFORE = container("2026-11-29T19:02:48.758633109Z")
AFTER = container("2026-11-29T19:02:51.1+00:00")
JUDGED = Identity("running", {"container": ID, "started_at": 1_795_978_968.758633})


@contextmanager
def answering(*answers: bytes, others: bytes = b"[]") -> Iterator[tuple[Target, list[bytes]]]:
    """An Engine that gives its first request the first answer, and so on, whatever is asked; and what was asked.

    `others`: the containers that run, which are listed whenever it is asked for them.
    """
    asked: list[bytes] = []
    left, one_at_a_time = list(answers), threading.Lock()

    def serve(line: socket.socket) -> None:
        with line:
            line.settimeout(5)
            request = line.recv(65_536)  # nothing on a connection that was opened in vain
            if request.startswith((b"GET /containers/json ", b"GET /containers/json?")):
                line.sendall(said("200 OK", others))
                return
            with one_at_a_time:
                asked.extend([request] if request else [])
                answer = left.pop(0) if request and left else b""
            with suppress(OSError):  # whoever asked may have gone
                line.sendall(answer)

    def accept() -> None:
        with suppress(OSError):  # closed
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{folder}/s")
        server.listen()
        threading.Thread(target=accept, daemon=True).start()
        yield Target("localhost/container:web", "shop", "localhost", "container", "web", f"{folder}/s"), asked
        server.shutdown(socket.SHUT_RDWR)
