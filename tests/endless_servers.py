"""Servers that answer byte by byte: at a pace, never to the end, or otherwise than a client hopes."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PACE_SECONDS = 0.05

#: What each begins with, and what it goes on with.
DRIPS = {
    "smtp": (b"", b"220-wait a little\r\n"),
    "http head": (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    "http byte": (b"HTTP/1.1 200 OK\r\nX-A: ", b"b"),
    "http body": (b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "silent": (b"", b""),
}


@contextmanager
def dripping(what: str) -> Iterator[int]:
    """A server that drips; its port."""
    begins, goes_on = DRIPS[what]
    over = threading.Event()

    def drip(line: socket.socket) -> None:
        with line, contextlib.suppress(OSError):
            if what.startswith("http"):
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
            with line if tls is None else tls.wrap_socket(line, server_side=True) as connection:
                say(connection)
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


@contextmanager
def answering(*pieces: bytes, every: float = 0.0, hold: bool = False) -> Iterator[str]:
    """A server that gives its one caller these pieces, one `every` so many seconds, and then hangs up, or holds on."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                line, _ = server.accept()
            except OSError:
                return
            with line:
                line.recv(65_536)
                for piece in pieces:
                    try:
                        line.sendall(piece)
                    except OSError:
                        return
                    if over.wait(every):
                        return
                if hold:
                    over.wait(10)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/here"
        over.set()
        server.shutdown(socket.SHUT_RDWR)  # nobody may have called
        thread.join(5)
