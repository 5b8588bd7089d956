"""The single `paramedic up` of a data folder: its lock, and the addresses that it listens on."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from paramedic.errors import PermanentError
from paramedic.settings import given_to

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
    health: tuple[str, ...] = ()  # where each process of it says that it is well, as far as it serves that


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


def environment(data: Path) -> Mapping[str, str]:
    """The environment of the `paramedic up` on this folder, as it was at its start; empty where none of this user runs."""
    return _started(data)[0]


def settings(data: Path) -> Mapping[str, Any]:
    """The settings that the `paramedic up` on this folder was given, but for the folder; empty where none of this user runs."""
    variables, folder = _started(data)
    return {name: value for name, value in given_to(variables, folder).items() if name != "data"} if variables else {}


def _started(data: Path) -> tuple[Mapping[str, str], Path]:
    """The environment and the folder of the `up`: only of the same user's process, since it decides what a command reads."""
    here = running(data)
    if here is not None:
        process = Path("/proc") / str(here.pid)
        with contextlib.suppress(OSError):
            if process.stat().st_uid == os.geteuid():
                pairs = (process / "environ").read_bytes().decode(errors="surrogateescape").split("\0")
                return dict(pair.split("=", 1) for pair in pairs if "=" in pair), (process / "cwd").resolve()
    return {}, Path()


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
