"""Connections from this machine, to a Unix socket or a TCP port; one may outlive this process."""

import socket
import subprocess
import sys
import threading
from datetime import timedelta
from typing import Any, Self

from paramedic.errors import TemporaryError
from paramedic.kinds.transport import TcpPort, UnixSocket
from paramedic.machine.clock import boottime


class LocalConnection:
    """An open connection. What cannot be done raises OSError."""

    def __init__(self, line: socket.socket, anchor: "_Anchor | None") -> None:
        self._line = line
        self._anchor = anchor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._anchor is not None:
            self._anchor.let_go()
        self._line.close()

    def outlive_us(self) -> None:
        """Keep it open also if this process dies. Raises TemporaryError where that fails."""
        if self._anchor is None:
            raise TemporaryError("this connection was not made to outlive its process")
        self._anchor.hold()

    def send(self, data: bytes, deadline: float) -> None:
        """Send all of it."""
        self._line.settimeout(max(deadline - boottime(), 0))
        self._line.sendall(data)

    def receive(self, deadline: float) -> bytes:
        """The next bytes, b"" where the other side has closed."""
        self._line.settimeout(max(deadline - boottime(), 0))  # too late, but here already: better read than unknown
        return self._line.recv(65_536)


def connect(to: UnixSocket | TcpPort, deadline: float, *, outlives_us: bool) -> LocalConnection:
    """Open a connection. Raises OSError, ValueError on an address that cannot be right (a null byte in a path)."""
    left = deadline - boottime()
    if left <= 0:
        raise TimeoutError("timed out")
    line = _tcp(to, left) if isinstance(to, TcpPort) else _unix(to, left)
    try:
        return LocalConnection(line, _Anchor(line) if outlives_us else None)
    except BaseException:  # raised again: no socket is left open, whatever ends us
        line.close()
        raise


def _tcp(to: TcpPort, seconds: float) -> socket.socket:
    return socket.create_connection((to.host, to.port), timeout=seconds)


def _unix(to: UnixSocket, seconds: float) -> socket.socket:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.settimeout(seconds)
        line.connect(to.path)
    except BaseException:  # raised again: no socket is left open, whatever ends us
        line.close()
        raise
    return line


class _Anchor:
    """A second holder of the connection, for when this process dies before the answer.

    A server may abandon a request when its client's connection closes (supervisord does: a program would stay stopped).
    The anchor is a process of its own that does nothing but keep the connection open until the server answers or is gone.
    """

    LONGEST = timedelta(minutes=10)
    PROGRAM = """import os, select, sys
line, longest = int(sys.argv[1]), float(sys.argv[2])
def readable(file):
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return poll.poll(1000 * longest)
if readable(0) and os.read(0, 1): readable(line)"""

    def __init__(self, line: socket.socket) -> None:
        kept = str(line.fileno())
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", self.PROGRAM, kept, str(self.LONGEST.total_seconds())],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[line.fileno()],
                start_new_session=True,  # what kills our process group must not cut a restart in half
            )
        except OSError as error:
            raise TemporaryError(f"no process could be started to keep the connection: {error}") from error
        threading.Thread(target=self._process.wait, daemon=True).start()  # leaves no zombie, waits for nobody

    def hold(self) -> None:
        """Let the connection outlive this process; until then the anchor ends with it. Raises TemporaryError if that fails."""
        try:
            self._stdin().write(b"!")
        except OSError as error:
            raise TemporaryError(f"the process that keeps the connection is gone: {error}") from error

    def let_go(self) -> None:
        """End the anchor: the connection is no longer needed."""
        self._stdin().close()

    def _stdin(self) -> Any:
        return self._process.stdin
