"""Time-outs for a frozen PostgreSQL, which neither answers nor closes a connection: the client closes it."""

import os
import socket
import threading
import time
from contextlib import suppress
from functools import cache
from typing import Any

#: A server may be silent for this long. Longer than statement_timeout, with which one that is well says no by itself.
SECONDS = 12.0

_lock = threading.Lock()
_waiting: dict[Any, tuple[float, int]] = {}  # connection: since when, and its file descriptor


def connect(_dialect: Any, _record: Any, args: tuple[Any, ...], given: dict[str, Any]) -> Any:
    """SQLAlchemy's `do_connect`: a connection on which every wait ends, at the latest with an OperationalError."""
    return _impatient().connect(*args, **given)


@cache
def _impatient() -> Any:
    # psycopg is an extra: who keeps the store in SQLite has none.
    from psycopg import Connection

    class Impatient(Connection[Any]):
        """A connection that times out where psycopg would wait for ever: statements, commits and pings all go through `wait`."""

        def wait(self, *args: Any, **kwargs: Any) -> Any:
            _watcher()
            with _lock:
                _waiting[self] = (time.monotonic(), self.fileno())
            try:
                return super().wait(*args, **kwargs)
            finally:
                with _lock:
                    _waiting.pop(self, None)

    return Impatient


@cache
def _watcher() -> None:
    threading.Thread(target=_watch, name="silence", daemon=True).start()


def _watch() -> None:
    while True:
        time.sleep(1)
        with _lock:
            for since, line in _waiting.values():
                if time.monotonic() - since > SECONDS:
                    _hang_up(line)


def _hang_up(line: int) -> None:
    with suppress(OSError), socket.socket(fileno=os.dup(line)) as ours:
        ours.shutdown(socket.SHUT_RDWR)
