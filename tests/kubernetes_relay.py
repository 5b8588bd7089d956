"""A way to an API server that ends in the middle of an answer: as a load balancer that is restarted, or a network that drops."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kubernetes_server import Server
from ssh_servers import Relay

from paramedic.remediation.host import Host, KubernetesAccess

#: A request is longer than what a client says in a handshake of TLS, and an object than what a server does after one. Bytes.
_REQUEST, _OBJECT = 150, 900


class CutAnswers(Relay):
    """It passes all on, until answers are to be cut: then half of the next ones arrives, and the connection ends."""

    def __init__(self, port: int) -> None:
        self._left, self.cuts = 0, 0
        self._asked: set[socket.socket] = set()  # the servers that have been asked for something
        super().__init__(("127.0.0.1", port))

    def cut_answers(self, times: int) -> None:
        self._left = times

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        is_of_server = source.getpeername() == self._to
        with suppress(OSError):
            while data := source.recv(65_536):
                if not is_of_server and len(data) > _REQUEST:
                    self._asked.add(sink)
                if self._left > 0 and is_of_server and source in self._asked and len(data) > _OBJECT:
                    self._left -= 1
                    self.cuts += 1
                    sink.sendall(data[: len(data) // 2])
                    break
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def cut_answers(server: Server, folder: Path) -> Iterator[tuple[CutAnswers, Host]]:
    """The relay, and the cluster by it, as its admin."""
    relay, written = CutAnswers(server.port), json.loads((server.folder / "admin").read_text())
    written["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{relay.port}"
    (file := folder / "by-relay").touch(mode=0o600)
    file.write_text(json.dumps(written))
    try:
        yield relay, Host("prod", kubernetes=KubernetesAccess(str(file)))
    finally:
        relay.close()
