"""The single `paramedic up` of a data folder: its lock, and the addresses that it listens on."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from paramedic.errors import PermanentError
from paramedic.settings import Settings
from paramedic.transports.prefect_login import with_embedded_login

#: Held while `up` works in a data folder; in it, where it listens.
_LOCK = "up.lock"

#: Whoever asks whether it is held holds it for a moment, too.
_ASKED_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Running:
    """The addresses of a running `paramedic up`."""

    pid: int
    gateway: str
    prefect: str


def running(data: Path) -> Running | None:
    """The addresses of the `paramedic up` on this folder; None where none runs.

    What a killed one has left in the file is ignored: its ports may be anybody's by now. The kernel releases
    the lock with its holder.
    """
    try:
        with _opened(data, os.O_RDONLY) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return Running(**json.loads(lock.read()))
            return None
    except (OSError, ValueError, TypeError):
        return None


def with_running_prefect(settings: Settings) -> Settings:
    """The settings, with the Prefect of the `paramedic up` on their folder where they name none; unchanged where none runs.

    Raises OSError where its login cannot be read.
    """
    here = running(settings.data)
    if settings.prefect_api_url is not None or here is None:
        return settings
    return with_embedded_login(settings, here.prefect)


@contextlib.contextmanager
def alone(data: Path) -> Iterator[None]:
    """Exclude a `paramedic up` in the folder meanwhile. Raises PermanentError where one runs, OSError for no such folder."""
    with lock(data):
        yield


def lock(data: Path) -> IO[str]:
    """Lock the folder until the file is closed. Raises PermanentError where another `paramedic up` holds it, OSError."""
    held = _opened(data, os.O_RDWR | os.O_CREAT)
    until = time.monotonic() + _ASKED_SECONDS
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() < until:
                time.sleep(0.05)
                continue
            held.close()
            other = running(data)
            who = f" (process {other.pid}, gateway {other.gateway})" if other else ""
            raise PermanentError(
                f"another `paramedic up`{who} works in {data}; stop it, or give this one its own --data"
            ) from error
        announce(held, None)
        return held


def announce(held: IO[str], where: Running | None) -> None:
    """Write the addresses into the held lock file; None: none."""
    held.seek(0)
    held.truncate()
    if where is not None:
        json.dump(asdict(where), held)
    held.flush()


def _opened(data: Path, how: int) -> IO[str]:
    number = os.open(data / _LOCK, how | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    return os.fdopen(number, "r" if how == os.O_RDONLY else "r+")
