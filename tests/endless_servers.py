"""Servers that answer for ever and never to the end: each byte is legal, and begins a time-out per read anew."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PACE_SECONDS = 0.05

#: What each begins with, and what it goes on with.
SAID = {
    "smtp": (b"", b"220-wait a little\r\n"),
    "http head": (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    "http byte": (b"HTTP/1.1 200 OK\r\nX-A: ", b"b"),
    "http body": (b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "silent": (b"", b""),
}


@contextmanager
def dripping(said: str) -> Iterator[int]:
    """A server that drips; its port."""
    begins, goes_on = SAID[said]
    over = threading.Event()

    def drip(line: socket.socket) -> None:
        with line, contextlib.suppress(OSError):
            if said.startswith("http"):
                line.recv(65_536)
            line.sendall(begins)
            while not over.wait(_PACE_SECONDS):
                line.sendall(goes_on)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = listening.accept()
                threading.Thread(target=drip, args=(line,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            over.set()
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)


@contextmanager
def scripted(say: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that plays `say` on each connection; its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(line: socket.socket) -> None:
        try:
            with line if tls is None else tls.wrap_socket(line, server_side=True) as one:
                say(one)
        except OSError:
            pass

    def accept() -> None:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(line,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    with listener:
        yield f"http{'s' if tls else ''}://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
