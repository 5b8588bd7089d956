"""Signed checkpoints of the trail, in a file outside the database."""

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from paramedic.clock import iso
from paramedic.store import Store
from paramedic.store.tables import meta
from paramedic.store.trail import head
from paramedic.trail import Checkpoint, sign_checkpoint


def write(store: Store, key: Ed25519PrivateKey, path: Path) -> Checkpoint | None:
    """One more line, if the trail has grown since the last; on disk when this returns. Raises StoreUnavailable, OSError."""
    with store.read() as tx:
        newest = head(tx)
        generation = tx.conn.execute(select(meta.c.generation)).scalar_one()
        now = tx.now
    written = read(path)
    if newest is None or (written and written[-1].seq >= newest.seq and written[-1].store == store.uuid):
        return None
    mark = sign_checkpoint(key, store=store.uuid, seq=newest.seq, hash=newest.hash, at=iso(now), generation=generation)
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as file:
        file.write(mark.as_line() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return mark


def read(path: Path) -> list[Checkpoint]:
    """Every checkpoint in the file, oldest first; none if there is no file. Raises ValueError, naming the line."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    found = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            found.append(Checkpoint.from_line(line))
        except ValueError as error:
            if number == len(lines):  # without a newline: the write that a crash cut off
                break
            raise ValueError(f"{path}:{number}: {error}") from error
    return found
