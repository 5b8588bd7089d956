"""A way to a Prefect server that says what was asked on it, and on which a poll can be made to hang."""

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

_POLL = b"get_scheduled_flow_runs"


class Relay:
    """While `hangs` is set no poll is passed on; `hung` is set once one was not."""

    def __init__(self, port: int, *, at: int = 0) -> None:
        """To the server at `port`; it listens `at` this port, or at any."""
        self._port = port
        self.asked: Counter[str] = Counter()  # "GET /api/path": how often
        self.hangs, self.hung, self._over = threading.Event(), threading.Event(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", at))
        self.api = f"http://127.0.0.1:{self._listener.getsockname()[1]}/api"
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def hanging(self) -> Iterator[threading.Event]:
        """Let polls hang inside the block; gives the event that is set once one does."""
        self.hung.clear()
        self._over.clear()
        self.hangs.set()
        try:
            yield self.hung
        finally:
            self.hangs.clear()
            self._over.set()

    def close(self) -> None:
        self._over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._port))
                except OSError:  # the server is away now
                    client.close()
                    continue
                for one, two, asks in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass_on, args=(one, two), kwargs={"asks": asks}, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, *, asks: bool) -> None:
        with closing(source), closing(sink):
            with suppress(OSError):
                while data := source.recv(65_536):
                    if asks and b" HTTP/1.1\r\n" in data:
                        self.asked[data.partition(b" HTTP/1.1\r\n")[0].decode()] += 1
                    if asks and self.hangs.is_set() and _POLL in data:
                        self.hung.set()
                        self._over.wait()
                        break
                    sink.sendall(data)
            for end in (source, sink):  # a close alone is not seen while the other thread reads
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
