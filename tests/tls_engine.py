"""An Engine's socket behind a port of its own, by TLS with client certificates, or without."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from certificates import Authority


def strict(authority: Authority, folder: Path, host: str = "127.0.0.1") -> ssl.SSLContext:
    """A server for the host that takes only who shows a certificate of the authority, as `dockerd --tlsverify` does."""
    certificate, key = authority.issued(host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextmanager
def port_before(engine: str, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A port of loopback that leads to the Engine's Unix socket; by TLS where there is a context."""

    def serve(line: socket.socket) -> None:
        with suppress(OSError), line if context is None else context.wrap_socket(line, server_side=True) as client:
            if not (request := client.recv(65_536)):
                return
            with socket.socket(socket.AF_UNIX) as up:
                up.connect(engine)
                up.sendall(request)
                while came := up.recv(65_536):
                    client.sendall(came)
            if isinstance(client, ssl.SSLSocket):
                client.unwrap().close()

    def accept() -> None:
        with suppress(OSError):  # closed
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
