"""Signed checkpoints of the trail, in a file outside the database."""

import fcntl
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from paramedic import keys
from paramedic.audit.chain import Checkpoint, begins, sign_checkpoint
from paramedic.errors import PermanentError
from paramedic.machine import data_folder
from paramedic.machine.clock import iso
from paramedic.settings import Settings
from paramedic.store import Store, Tx, generation, seals
from paramedic.store.trail import entries, head

log = logging.getLogger(__name__)

#: More than the longest line, so that the end of the file is enough to know the newest one.
_TAIL_BYTES = 65_536


class Unproven(PermanentError):
    """The trail does not follow from what was signed last, and nothing is signed. The message says where and why."""


def sign(store: Store, settings: Settings, *, vouched: bool = False) -> Checkpoint | None:
    """`write`, with the key, the file and the witness that the settings name. Raises as it does, and BadSettings."""
    key, witness = keys.signing_key(settings), keys.signing_witness(settings)
    return write(store, key, settings.checkpoints(), witness=witness, vouched=vouched)


def write(
    store: Store, key: Ed25519PrivateKey, path: Path, *, witness: Path | None = None, vouched: bool = False
) -> Checkpoint | None:
    """Append a checkpoint if the trail has grown since the last one; durable when this returns. The file is private to its owner.

    What is signed follows, entry by entry, from the newest checkpoint in the file or in `witness`, which holds the newest
    once more. `vouched` skips that: a person, or a restore, answers for it. Several may write at once. Raises Unproven,
    StoreUnavailable, OSError, and ValueError where the file's last line is not a checkpoint.
    """
    with store.read() as tx:
        if head(tx) is None and not path.exists():
            return None
    data_folder.make(path.parent)
    new = not path.exists()
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        last = _later(_last(file, path), newest(witness) if witness is not None else None)
        with store.read() as tx:
            if not vouched:
                prove(tx, last, key.public_key(), path)
            mark = _next(tx, key, None if vouched else last)
        if mark is None:
            return None
        file.truncate(_whole(file))  # a line that a crash cut off: the next one begins on its own
        file.seek(0, os.SEEK_END)
        file.write(mark.as_line().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
        if witness is not None:
            _remember(witness, mark)
    if new:
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    return mark


def _next(tx: Tx, key: Ed25519PrivateKey, last: Checkpoint | None) -> Checkpoint | None:
    entry, number = head(tx), generation(tx)
    if entry is None or (
        last is not None and (last.store, last.generation) == (tx.store, number) and last.seq >= entry.seq
    ):
        return None
    return sign_checkpoint(key, store=tx.store, seq=entry.seq, at_hash=entry.hash, at=iso(tx.now), generation=number)


def prove(tx: Tx, last: Checkpoint | None, key: Ed25519PublicKey, path: Path) -> None:
    """Prove that the trail follows, entry by entry, from its last checkpoint or seal. Raises Unproven.

    Without a checkpoint there is nothing that it could contradict.
    """
    if last is None:
        return
    if not last.is_signed_by(key):
        raise Unproven(f"the last checkpoint in {path}, at entry {last.seq}, is not signed by our key")
    if last.store != tx.store:
        raise Unproven(
            f"{path} holds the checkpoints of another store, {last.store}: move it, and the key's witness, away "
            "if this store is a new one"
        )
    if last.generation != generation(tx):
        raise Unproven(
            f"the store says that it is generation {generation(tx)}, and the last checkpoint is of generation "
            f"{last.generation}: no restore was signed"
        )
    seq, known = _standing(tx, last, key)
    for entry in entries(tx, after=seq):
        if (entry.seq, entry.previous, entry.computed_hash()) != (seq + 1, known, entry.hash):
            raise Unproven(f"Entry {entry.seq} does not follow from entry {seq}")
        begun = begins(entry)
        if begun is not None:
            raise Unproven(f"Entry {entry.seq} begins generation {begun}, and no restore of ours signed it")
        seq, known = entry.seq, entry.hash


def _standing(tx: Tx, last: Checkpoint, key: Ed25519PublicKey) -> tuple[int, str]:
    """The last signed entry and its hash: the checkpoint's, or the seal's where that entry was sealed."""
    sealed = seals.newest(tx)
    if sealed is not None and last.seq <= sealed.seq:
        if sealed.store != tx.store or not sealed.is_signed_by(key):
            raise Unproven(f"Entry {last.seq} is gone: the seal at entry {sealed.seq} is not signed by our key")
        return sealed.seq, sealed.hash
    seen = next(entries(tx, after=last.seq - 1, limit=1), None)
    if seen is None or (seen.seq, seen.hash, seen.computed_hash()) != (last.seq, last.hash, last.hash):
        raise Unproven(f"Entry {last.seq} is gone or was changed")
    return last.seq, last.hash


def _later(first: Checkpoint | None, second: Checkpoint | None) -> Checkpoint | None:
    both = [mark for mark in (first, second) if mark is not None]
    return max(both, key=lambda mark: (mark.generation, mark.seq), default=None)


def _remember(witness: Path, mark: Checkpoint) -> None:
    """Write the witness, as best effort: the key's folder may be read-only."""
    try:
        with tempfile.NamedTemporaryFile("w", dir=witness.parent, prefix=f".{witness.name}.", delete=False) as file:
            file.write(f"{mark.as_line()}\n")
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(witness)
    except OSError as error:
        log.debug("the newest checkpoint could not be copied beside the key: %s", error)


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


def merge(path: Path, older: Sequence[Checkpoint]) -> None:
    """Merge older checkpoints into the file, before those in it. Raises OSError, and ValueError as `read` does."""
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
    """The length of the file's complete lines in bytes."""
    begin, tail = _tail(file)
    return begin + tail.rfind(b"\n") + 1


def _last(file: IO[bytes], path: Path) -> Checkpoint | None:
    """The last whole line. Raises ValueError where it is no checkpoint."""
    lines = [line for line in _tail(file)[1].split(b"\n")[:-1] if line]
    if not lines:
        return None
    try:
        return Checkpoint.from_line(lines[-1].decode("utf-8", "replace"))
    except ValueError as error:
        raise ValueError(f"{path}, its last line: {error}") from error
