"""Wake-ups between processes, so that queued work does not wait for the next poll. A lost wake-up costs one poll.

On SQLite, which serves one machine, they are datagrams to Unix sockets beside its file; on PostgreSQL LISTEN and NOTIFY, across
machines. A wake-up is a hint, not an order: its subscriber looks for itself at what there is to do.
"""

import contextlib
import json
import os
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
from paramedic.machine.readable import readable
from paramedic.store import Store
from paramedic.store.frozen_connections import KEEPALIVES

#: Who listens: triage, for alerts that did not come by its own process; dispatch, for orders; the responders, for runs.
TRIAGE, DISPATCH, RESPONDER = "triage", "dispatch", "responder"

#: What one notification may carry, in bytes: PostgreSQL's NOTIFY allows 8000.
_LONGEST = {"sqlite": 60_000, "postgresql": 7_900}

#: A subscriber's connection: it must not make its owner miss a poll, nor listen for ever to a server that is gone.
_CONNECTION: dict[str, Any] = {"connect_timeout": 3, **KEEPALIVES}

#: How soon a subscriber that lost its database connects again.
_AGAIN_SECONDS = 1.0


class Subscription(Protocol):
    """What receives the notifications of one topic."""

    def wait(self, seconds: float) -> list[dict[str, Any]]:
        """The payloads since the last wait, at the latest after `seconds`. An empty payload means: look."""

    def close(self) -> None:
        """End the subscription."""


def notify(store: Store, topic: str, payload: dict[str, Any] | None = None) -> None:
    """Wake every subscriber of the topic; `payload` spares them a look, and is left out where it is too long.

    Never raises: a subscriber that does not receive it looks at the next poll.
    """
    kind = _kind(store)
    data = json.dumps(payload or {}).encode()
    if len(data) > _LONGEST[kind]:
        data = b"{}"
    with contextlib.suppress(TemporaryError, PermanentError, OSError):
        if kind == "sqlite":
            _notify_sockets(_folder(store), topic, data)
        else:
            with store.write() as tx:
                tx.conn.exec_driver_sql("SELECT pg_notify(%s, %s)", (_channel(topic), data.decode()))


def subscribe(store: Store, topic: str) -> Subscription:
    """A subscription to the topic. Where its socket cannot be made it receives nothing, and its owner polls."""
    if _kind(store) == "postgresql":
        return _Listen(store, topic)
    return _Socket(_folder(store), topic)


def listen(
    subscription: Subscription, receive: Callable[[dict[str, Any]], None], stop: threading.Event
) -> threading.Thread:
    """Start a thread that calls `receive` with each payload, until `stop`."""

    def listening() -> None:
        while not stop.is_set():
            for payload in subscription.wait(1.0):
                receive(payload)
        subscription.close()

    thread = threading.Thread(target=listening, name="wakeups", daemon=True)
    thread.start()
    return thread


class _Socket:
    """A datagram socket of this user's alone, in the store's folder."""

    def __init__(self, folder: Path, topic: str) -> None:
        self._path = folder / f".{topic}.{os.getpid()}-{uuid.uuid4().hex[:8]}.bell"
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
            self._socket, self._peer = socket.socketpair()  # nobody writes to it

    def wait(self, seconds: float) -> list[dict[str, Any]]:
        ready = readable([self._socket], seconds)
        payloads = []
        while ready:
            try:
                payloads.append(_payload(self._socket.recv(_LONGEST["sqlite"] + 1)))
            except BlockingIOError:
                break
        return payloads

    def close(self) -> None:
        self._socket.close()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def _notify_sockets(folder: Path, topic: str, data: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.setblocking(False)
        for path in folder.glob(f".{topic}.*.bell"):
            try:
                with _address(path) as address:
                    ours.sendto(data, address)
            except ConnectionRefusedError:  # its subscriber is dead
                with contextlib.suppress(OSError):
                    if stat.S_ISSOCK(path.lstat().st_mode):
                        path.unlink()
            except OSError:  # gone meanwhile, or full: then a notification waits there already
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


class _Listen:
    """A connection of its own that listens. While the database is away it receives nothing, and it connects again."""

    def __init__(self, store: Store, topic: str) -> None:
        self._store = store
        self._topic = topic
        self._raw: Any = None

    def wait(self, seconds: float) -> list[dict[str, Any]]:
        import psycopg  # an extra, which a store in SQLite does not need

        try:
            if self._raw is None:
                self._raw = self._listening()
                return [{}]  # what was sent while nobody listened
            return [_payload(sent.payload.encode()) for sent in self._raw.notifies(timeout=seconds, stop_after=1)]
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
        raw = psycopg.connect(url, autocommit=True, **_CONNECTION)
        raw.execute(f'LISTEN "{_channel(self._topic)}"')
        return raw


def _channel(topic: str) -> str:
    return f"paramedic_{topic}"


def _kind(store: Store) -> str:
    return store.engine.dialect.name


def _folder(store: Store) -> Path:
    return Path(store.engine.url.database or "").absolute().parent


def _payload(data: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(data)
    except ValueError:
        return {}
    return payload if isinstance(payload, dict) else {}
