"""The service manager that started this process, told by systemd's notification protocol (sd_notify, Type=notify).

Each message is one datagram to the socket that NOTIFY_SOCKET names. Without one, nothing is told.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable

#: The socket, and what systemd says of its watchdog, in the environment.
_SOCKET, _WATCHDOG = "NOTIFY_SOCKET", ("WATCHDOG_USEC", "WATCHDOG_PID")

#: A sign of life is given so often at most, in seconds. systemd's smallest useful WatchdogSec is twice that.
_BEAT_SECONDS = 1.0

#: Each sign of life during the start gives the start this much time more.
_START_SECONDS = 60

#: A status is one line of `systemctl status`.
_STATUS_LENGTH = 200


class ServiceManager:
    """Tells the service manager how this process is. Nothing here blocks or raises."""

    def __init__(self, address: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        """`address`: of the socket, `@` first for an abstract one; None: nobody listens."""
        self._address = address
        self._clock = clock
        self._beat_at: float | None = None
        self._is_ready = False
        self._status = ""

    def alive(self, status: str) -> None:
        """Give a sign of life, and say what is going on: one line of data. Call it from the main loop, as often as it turns."""
        words = " ".join(status.split())[:_STATUS_LENGTH]  # a line break would begin another field
        if words != self._status:
            self._status = words
            self._send(f"STATUS={words}")
        now = self._clock()
        if self._beat_at is None or now - self._beat_at >= _BEAT_SECONDS:
            self._beat_at = now
            self._send("WATCHDOG=1" if self._is_ready else f"EXTEND_TIMEOUT_USEC={_START_SECONDS * 1_000_000}")

    def ready(self) -> None:
        """Say that the start is over; once is enough."""
        if not self._is_ready:
            self._is_ready = True
            self._send("READY=1")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with (
            contextlib.suppress(OSError),  # nobody listens any more, or its queue is full: the next one comes
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
        ):
            out.setblocking(False)
            out.sendto(message.encode(errors="replace"), address)


def inherited() -> ServiceManager:
    """The service manager of this process. The processes that it starts do not inherit it."""
    for name in _WATCHDOG:
        os.environ.pop(name, None)
    address = os.environ.pop(_SOCKET, "")
    return ServiceManager(address if address.startswith(("/", "@")) else None)
