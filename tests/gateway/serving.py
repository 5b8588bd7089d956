"""A gateway on a real socket inside the test's process, and what is sent to it byte by byte."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from databases import migrated
from pydantic import SecretStr

from paramedic.gateway.app import make_app
from paramedic.gateway.server import server
from paramedic.intake.intake import Wake
from paramedic.machine import ports
from paramedic.serving.connections import BACKLOG
from paramedic.settings import Settings
from paramedic.store import Store

TOKEN = "a-token-of-this-test"
AUTH = f"Authorization: Bearer {TOKEN}"


@contextlib.contextmanager
def serving(
    folder: Path, *, body_timeout: timedelta = timedelta(seconds=30), idle_seconds: int = 5, **more: object
) -> Iterator[tuple[int, Store, Settings]]:
    """Its port, its store and its settings. A connection on which nothing was asked for `idle_seconds` ends."""
    settings = Settings(data=folder, gateway_tokens={"prometheus": SecretStr(TOKEN)}, **more)
    folder.mkdir(mode=0o700, exist_ok=True)
    store = Store(migrated(folder / "paramedic.db"))
    app = make_app(settings, store, wake=Wake(), alive=lambda: True, body_timeout=body_timeout)
    [listening] = ports.listening_sockets("127.0.0.1", 0)  # as the gateway does: without Nagle's algorithm
    with listening:
        listening.listen(BACKLOG)
        running = server(app, settings)
        running.config.timeout_keep_alive = idle_seconds
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1], store, settings
        finally:
            running.should_exit = True
            thread.join(20)
    store.close()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=120)


def exchange(port: int, *parts: bytes) -> bytes:
    """Everything that is answered to these bytes until the other end closes."""
    with connect(port) as connection:
        for part in parts:
            connection.sendall(part)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            answer += part
    return answer


def read_one(connection: socket.socket) -> bytes:
    """One answer, to the end of its body."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = connection.recv(65_536)
        if not part:
            return answer
        answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    [length] = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0
