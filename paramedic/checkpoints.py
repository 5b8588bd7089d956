"""Signed checkpoints of the trail, in a file outside the database."""

import fcntl
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from paramedic import data_folder
from paramedic.clock import iso
from paramedic.store import Store, generation
from paramedic.store.trail import head
from paramedic.trail import Checkpoint, sign_checkpoint

#: More than the longest line, so that the end of the file is enough to know the newest one.
_TAIL_BYTES = 65_536


def write(store: Store, key: Ed25519PrivateKey, path: Path) -> Checkpoint | None:
    """One more line, if the trail has grown since the last; on disk when this returns. The file is its owner's alone.

    Several may write at once. Raises StoreUnavailable, OSError, and ValueError where the file's last line is none.
    """
    with store.read() as tx:
        newest = head(tx)
        life = generation(tx)
        now = tx.now
    if newest is None:
        return None
    data_folder.make(path.parent)
    new = not path.exists()
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        last = _last(file, path)
        if last is not None and (last.store, last.generation) == (store.uuid, life) and last.seq >= newest.seq:
            return None
        mark = sign_checkpoint(key, store=store.uuid, seq=newest.seq, at_hash=newest.hash, at=iso(now), generation=life)
        file.truncate(_whole(file))  # a line that a crash cut off: the next one begins on its own
        file.seek(0, os.SEEK_END)
        file.write(mark.as_line().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    if new:
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    return mark


def newest(path: Path) -> Checkpoint | None:
    """The last whole line, without reading the others; None if there is none. Raises ValueError, naming the file."""
    try:
        with path.open("rb") as file:
            return _last(file, path)
    except FileNotFoundError:
        return None


def read(path: Path) -> list[Checkpoint]:
    """Every checkpoint in the file, oldest first; none if there is no file. Raises ValueError, naming the line."""
    if not path.exists():
        return []
    return parse(path.read_text(), str(path))


def parse(text: str, where: str) -> list[Checkpoint]:
    """Every checkpoint in the text, oldest first. Raises ValueError, naming the line."""
    lines = text.split("\n")
    found = []
    for number, line in enumerate(lines, 1):
        if not line or number == len(lines):  # without a newline: the write that a crash cut off
            continue
        try:
            found.append(Checkpoint.from_line(line))
        except ValueError as error:
            raise ValueError(f"{where}:{number}: {error}") from error
    return found


def keep(path: Path, older: Sequence[Checkpoint]) -> None:
    """Have the file hold these, and after them what it holds already. Raises OSError, and ValueError as `read` does."""
    there = read(path)
    known = set(older)
    lines = [*older, *(mark for mark in there if mark not in known)]
    if lines == there:
        return
    data_folder.make(path.parent)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.writelines(f"{mark.as_line()}\n" for mark in lines)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)


def _tail(file: IO[bytes]) -> tuple[int, bytes]:
    begin = max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES)
    file.seek(begin)
    return begin, file.read()


def _whole(file: IO[bytes]) -> int:
    """How many bytes of the file are whole lines."""
    begin, tail = _tail(file)
    return begin + tail.rfind(b"\n") + 1


def _last(file: IO[bytes], path: Path) -> Checkpoint | None:
    lines = [line for line in _tail(file)[1].split(b"\n")[:-1] if line]
    if not lines:
        return None
    try:
        return Checkpoint.from_line(lines[-1].decode("utf-8", "replace"))
    except ValueError as error:
        raise ValueError(f"{path}, its last line: {error}") from error
