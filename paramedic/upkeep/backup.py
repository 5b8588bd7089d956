"""Backup and upgrade. A backup is one file: a snapshot of the store, its checkpoints and the public key."""

import json
import os
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from paramedic import keys
from paramedic.errors import PermanentError, Refused
from paramedic.machine.clock import from_iso, iso, utc_now
from paramedic.settings import Settings
from paramedic.store import REVISIONS
from paramedic.store.migrations import migrate, revision_of, unknown
from paramedic.store.snapshot import snapshot

#: The content of the file, in this order: what it is, the store, the checkpoints, the public key; and private keys.
MANIFEST, STORE, CHECKPOINTS, PUBLIC = "backup.json", "store.db", "checkpoints.jsonl", "signing.pub"
KEYS = {"signing.key": keys.signing_key_file, "link.key": keys.link_key_file}

_KIND = "paramedic backup 1"

#: Far more than any of the small parts has; checkpoints grow by a line a minute.
SMALL, LARGE = 65_536, 1 << 30


class BadBackup(PermanentError):
    """The file is not a complete backup; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of a backup: which store, generation, revision, entries, and when."""

    store: str
    generation: int
    revision: str
    entries: int  # the last entry of its trail
    taken_at: str
    kind: str = _KIND

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Raises BadBackup."""
        try:
            manifest = cls(**json.loads(content))
            from_iso(manifest.taken_at)
        except (TypeError, ValueError) as error:
            raise BadBackup(f"its {MANIFEST} says nothing that we know: {error}") from error
        if manifest.kind != _KIND:
            raise BadBackup(f"it is {manifest.kind!r}; this version reads {_KIND!r}")
        return manifest


def back_up(settings: Settings, file: Path, *, private_keys: bool = False) -> Manifest:
    """Write a backup of the store while everything runs, complete or not at all; `private_keys` includes the private keys.

    Raises Refused where the file exists, StoreUnavailable, StoreUnknown, OSError.
    """
    if file.exists():
        raise Refused(f"{file} exists already; nothing was written")
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as folder:
        # The checkpoints first: then the store of a moment later has every entry that they saw.
        small = {CHECKPOINTS: settings.checkpoints(), PUBLIC: keys.public_key_file(settings)}
        small |= {name: place(settings) for name, place in KEYS.items()} if private_keys else {}
        parts = {name: path.read_bytes() for name, path in small.items() if path.exists()}
        taken_at = iso(utc_now())
        copy = Path(folder) / STORE
        snapshot(settings.owner(), copy)
        manifest = _described(copy, taken_at)
        packed = Path(folder) / file.name
        with packed.open("xb") as out:
            packed.chmod(0o600)
            with tarfile.open(fileobj=out, mode="w:gz") as tar:
                _add(tar, folder, MANIFEST, json.dumps(asdict(manifest)).encode())
                tar.add(copy, STORE)
                for name, content in parts.items():
                    _add(tar, folder, name, content)
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(packed, file)
        except FileExistsError as error:
            raise Refused(f"{file} exists already; nothing was written") from error
    return manifest


def _add(tar: tarfile.TarFile, folder: str, name: str, content: bytes) -> None:
    path = Path(folder) / name
    path.write_bytes(content)
    tar.add(path, name)


def _described(copy: Path, taken_at: str) -> Manifest:
    """The manifest, read by plain SQL: the copy's schema may be older than this version's."""
    with closing(sqlite3.connect(copy)) as db:
        try:
            (revision,) = db.execute("SELECT version_num FROM alembic_version").fetchone()
            store, generation = db.execute("SELECT store, generation FROM meta").fetchone()
            (entries,) = db.execute("SELECT coalesce(max(seq), 0) FROM trail").fetchone()
        except (sqlite3.Error, TypeError) as error:
            raise PermanentError(f"there is no store to copy: {error}; `paramedic up` makes one") from error
    return Manifest(store, generation, revision, entries, taken_at)


def upgrade(settings: Settings, file: Path) -> tuple[str | None, str]:
    """Migrate the store to this version's schema, after a backup to `file`; returns the revisions before and after.

    Does nothing, and makes no file, where it is at that schema already. A database without tables gets them, and there is
    nothing to back up: the revision before is None. Raises as `back_up` does.
    """
    before = revision_of(settings.owner())
    if before is None:
        migrate(settings.owner(), runtime_role=settings.runtime_role())
        return None, REVISIONS[-1]
    if before not in REVISIONS:
        raise unknown(before)
    if before != REVISIONS[-1]:
        back_up(settings, file)
        migrate(settings.owner(), runtime_role=settings.runtime_role())
    return before, REVISIONS[-1]
