"""Bells: who has left work for another process rings, so that nobody waits for a poll. A ring that is lost costs one poll.

They hang where the store is: on SQLite, which serves one machine, as Unix sockets beside its file; on PostgreSQL as LISTEN
and NOTIFY, across machines. A ring is a hint and no order: who hears it looks for itself at what there is to do.
"""

import contextlib
import json
import os
import select
import socket
import stat
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from paramedic.errors import PermanentError, TemporaryError
from paramedic.store import Store

#: Who listens: dispatch, for orders; the responders, for runs.
DISPATCH, RESPONDER = "dispatch", "responder"

#: What one ring may carry, in bytes: PostgreSQL's NOTIFY allows 8000.
_LONGEST = {"sqlite": 60_000, "postgresql": 7_900}

#: A listener's connection: who waits on it must not miss a poll for it, nor listen for ever to a server that is gone.
_PATIENCE: dict[str, Any] = {
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}

#: How soon a listener that lost its database listens again.
_AGAIN_SECONDS = 1.0


class Bell(Protocol):
    """One listener's end."""

    def wait(self, seconds: float) -> list[dict[str, Any]]:
        """What was said since the last wait, at the latest after `seconds`. An empty word says: look."""

    def close(self) -> None:
        """Listen no more."""


def ring(store: Store, room: str, word: dict[str, Any] | None = None) -> None:
    """Tell everybody who listens for the room; `word` is what spares them a look, and is left out where it is too long.

    Never raises: whoever does not hear it looks at the next poll.
    """
    kind = _kind(store)
    said = json.dumps(word or {}).encode()
    if len(said) > _LONGEST[kind]:
        said = b"{}"
    with contextlib.suppress(TemporaryError, PermanentError, OSError):
        if kind == "sqlite":
            _ring_sockets(_folder(store), room, said)
        else:
            with store.write() as tx:
                tx.conn.exec_driver_sql("SELECT pg_notify(%s, %s)", (_channel(room), said.decode()))


def hang(store: Store, room: str) -> Bell:
    """A bell for the room. One that cannot be hung up (no place for a socket) never rings: its owner polls."""
    if _kind(store) == "postgresql":
        return _Notified(store, room)
    return _Socket(_folder(store), room)


def listen(bell: Bell, hear: Callable[[dict[str, Any]], None], stop: threading.Event) -> threading.Thread:
    """A thread that calls `hear` with each word, until `stop`."""

    def listening() -> None:
        while not stop.is_set():
            for word in bell.wait(1.0):
                hear(word)
        bell.close()

    thread = threading.Thread(target=listening, name="bell", daemon=True)
    thread.start()
    return thread


class _Socket:
    """A datagram socket of this user's alone, in the store's folder."""

    def __init__(self, folder: Path, room: str) -> None:
        self._path = folder / f".{room}.{os.getpid()}-{uuid.uuid4().hex[:8]}.bell"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            before = os.umask(0o177)
            try:
                with _address(self._path) as address:
                    self._socket.bind(address)
            finally:
                os.umask(before)
        except OSError:
            self._socket.close()
            self._socket, self._deaf = socket.socketpair()  # nobody writes to it

    def wait(self, seconds: float) -> list[dict[str, Any]]:
        ready, _, _ = select.select([self._socket], [], [], seconds)
        words = []
        while ready:
            try:
                words.append(_word(self._socket.recv(_LONGEST["sqlite"] + 1)))
            except BlockingIOError:
                break
        return words

    def close(self) -> None:
        self._socket.close()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def _ring_sockets(folder: Path, room: str, said: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.setblocking(False)
        for path in folder.glob(f".{room}.*.bell"):
            try:
                with _address(path) as address:
                    ours.sendto(said, address)
            except ConnectionRefusedError:  # its listener is dead
                with contextlib.suppress(OSError):
                    if stat.S_ISSOCK(path.lstat().st_mode):
                        path.unlink()
            except OSError:  # gone meanwhile, or full: then it has a ring that it has not heard yet
                continue


@contextlib.contextmanager
def _address(path: Path) -> Iterator[str]:
    """The path as a socket's address, which may be no longer than a hundred characters: on Linux, by its folder's descriptor."""
    if sys.platform != "linux":
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class _Notified:
    """A connection of its own that listens. While the database is away it hears nothing, and listens again."""

    def __init__(self, store: Store, room: str) -> None:
        self._store = store
        self._room = room
        self._raw: Any = None

    def wait(self, seconds: float) -> list[dict[str, Any]]:
        import psycopg  # an extra: who keeps the store in SQLite has none

        try:
            if self._raw is None:
                self._raw = self._listening()
                return [{}]  # what was rung while nobody listened
            return [_word(one.payload.encode()) for one in self._raw.notifies(timeout=seconds, stop_after=1)]
        except (psycopg.Error, OSError):
            self.close()
            time.sleep(min(seconds, _AGAIN_SECONDS))
            return []

    def close(self) -> None:
        if self._raw is not None:
            with contextlib.suppress(Exception):  # it may be in any state, and nobody needs it
                self._raw.close()
            self._raw = None

    def _listening(self) -> Any:
        import psycopg

        url = self._store.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        raw = psycopg.connect(url, autocommit=True, **_PATIENCE)
        raw.execute(f'LISTEN "{_channel(self._room)}"')
        return raw


def _channel(room: str) -> str:
    return f"paramedic_{room}"


def _kind(store: Store) -> str:
    return store.engine.dialect.name


def _folder(store: Store) -> Path:
    return Path(store.engine.url.database or "").absolute().parent


def _word(said: bytes) -> dict[str, Any]:
    try:
        word = json.loads(said)
    except ValueError:
        return {}
    return word if isinstance(word, dict) else {}
