"""Restore: a backup becomes the next generation of the store."""

import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from paramedic import keys
from paramedic.audit import verification
from paramedic.audit.chain import Checkpoint
from paramedic.audit.verification import Verification
from paramedic.errors import Refused
from paramedic.machine.clock import boottime, from_iso
from paramedic.machine.kill_points import kill_point
from paramedic.settings import Settings
from paramedic.store import Store, generation, inbox, seals
from paramedic.store import trail as stored_trail
from paramedic.store.migrations import migrate
from paramedic.store.restore import begin_again
from paramedic.store.snapshot import counters, other_sessions, put
from paramedic.store.table_facts import declared
from paramedic.upkeep import checkpoints
from paramedic.upkeep.backup import CHECKPOINTS, KEYS, LARGE, MANIFEST, PUBLIC, SMALL, STORE, BadBackup, Manifest

#: How long a session of PostgreSQL may take to end after its client.
_GOING_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore."""

    manifest: Manifest
    generation: int
    handed_over: tuple[int, ...]
    found: Verification
    can_sign: bool  # the private key is here


def restore(
    settings: Settings, file: Path, *, by: str, replace: bool = False, despite_faults: bool = False
) -> Restored:
    """Restore the backup as the store's next generation, in which nothing acts until a person's `resume`.

    Everything is staged and verified beside the store; then one transaction replaces it, completely or not at all. No
    `paramedic up` may work on it. `replace` allows the loss of a store that is not empty, `despite_faults` a trail
    that does not verify. Raises BadBackup, Refused, StoreUnavailable, StoreUnknown, BadSettings, OSError.
    """
    declared()  # reads the store's modules from the disk: not while a transaction holds the store
    target = settings.owner()
    with _unpacked(file, settings.data) as folder:
        manifest = Manifest.from_bytes(_part(folder, MANIFEST, file).read_bytes())
        migrate(target, runtime_role=settings.runtime_role())  # not before: what is no backup makes no store
        _nobody_else(target)
        before = _standing(target, replace=replace)
        marks = _marks(folder, settings, manifest)
        key = _key(folder, settings, needed=bool(marks))
        copy = _part(folder, STORE, file)
        migrate(f"sqlite:///{copy}")
        lost = before if before.store == manifest.store else _Standing(manifest.store, manifest.generation, {})
        new = max(manifest.generation, lost.generation, *(mark.generation for mark in marks)) + 1
        store = Store(f"sqlite:///{copy}")
        try:
            if store.uuid != manifest.store:
                raise BadBackup(f"{file}: its store is {store.uuid}, and it says that it is {manifest.store}")
            taken_at = from_iso(manifest.taken_at)
            with store.record() as tx:
                handed = begin_again(tx, new_generation=new, taken_at=taken_at, by=by, counted=lost.counted)
            found = _verified(store, marks, key, signed_later=new)
        finally:
            store.close()
        if not found.verified and not despite_faults:
            faults = "; ".join(f"entry {fault.seq} {fault.what}" for fault in found.faults[:3])
            raise Refused(f"its trail does not verify: {faults}. Nothing was changed; --despite-faults restores it")
        kill_point("restore_staged")
        checkpoints.merge(settings.checkpoints(), marks)
        _keep_keys(folder, settings)
        put(copy, target)
        kill_point("store_put")
    return Restored(manifest, new, tuple(handed), found, _sign(settings, target))


def _nobody_else(url: str) -> None:
    """Refuse while others use the store. The data folder's lock guards SQLite; PostgreSQL may be in use from anywhere.

    The session of a client that has just gone ends a little later, on the server: it is waited for.
    """
    ends_at = boottime() + _GOING_SECONDS
    while (others := other_sessions(url)) and boottime() < ends_at:
        time.sleep(0.1)
    if others:
        raise Refused(
            f"{others} other sessions use this database: stop every `paramedic up`, gateway, worker and "
            "open client of it first; nothing was changed"
        )


@dataclass(frozen=True, slots=True)
class _Standing:
    """The store that the backup replaces: its UUID, generation and row numbers."""

    store: str
    generation: int
    counted: Mapping[str, int]


def _standing(url: str, *, replace: bool) -> _Standing:
    """The current store. Raises Refused where it would be lost."""
    store = Store(url)
    try:
        with store.read() as tx:
            full = stored_trail.head(tx) is not None or not inbox.is_empty(tx)
            if full and not replace:
                raise Refused(
                    f"store {tx.store} has something in it, which would be lost; nothing was changed. Back it up, "
                    "then say --replace"
                )
            return _Standing(tx.store, generation(tx), counters(tx.conn))
    finally:
        store.close()


@contextmanager
def _unpacked(file: Path, beside: Path) -> Iterator[Path]:
    """Unpack the known parts of the backup, and no others, into a folder. Raises BadBackup."""
    with tempfile.TemporaryDirectory(dir=beside, prefix=".restore.") as folder:
        try:
            with tarfile.open(file, "r:gz") as tar:
                for member in tar:
                    limit = None if member.name == STORE else LARGE if member.name == CHECKPOINTS else SMALL
                    if member.name not in (MANIFEST, STORE, CHECKPOINTS, PUBLIC, *KEYS) or not member.isreg():
                        raise BadBackup(f"{file}: holds {member.name[:80]!r}, which is not part of a backup")
                    if limit is not None and member.size > limit:
                        raise BadBackup(f"{file}: its {member.name} has {member.size} bytes, more than any of ours")
                    _write_out(tar, member, Path(folder) / member.name)
        except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
            raise BadBackup(f"{file}: is not a complete backup: {error}") from error
        yield Path(folder)


def _write_out(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = tar.extractfile(member)
    if content is None:
        raise BadBackup(f"its {member.name} is no file")
    with path.open("xb") as out:
        path.chmod(0o600)
        while part := content.read(1 << 20):
            out.write(part)


def _part(folder: Path, name: str, file: Path) -> Path:
    path = folder / name
    if not path.exists():
        raise BadBackup(f"{file}: has no {name}: it is not a backup, or not a whole one")
    return path


def _marks(folder: Path, settings: Settings, manifest: Manifest) -> list[Checkpoint]:
    """Every known checkpoint: the backup's, and those written since."""
    path, place = folder / CHECKPOINTS, settings.checkpoints()
    try:
        packed = checkpoints.parse(path.read_text(), f"the backup's {CHECKPOINTS}") if path.exists() else []
        here = checkpoints.read(place)
    except ValueError as error:
        raise BadBackup(str(error)) from error
    strange = {mark.store for mark in here} - {manifest.store}
    if strange:
        raise Refused(
            f"{place} holds the checkpoints of another store, {', '.join(sorted(strange))}; nothing was changed. Move it "
            "away: it still vouches for that store's trail"
        )
    return list(dict.fromkeys([*packed, *here]))


def _key(folder: Path, settings: Settings, *, needed: bool) -> Ed25519PublicKey:
    """The public key that verifies the checkpoints: this machine's, if it has one."""
    packed = folder / PUBLIC
    if keys.public_key_file(settings).exists():
        ours = keys.public_key(settings)
        if packed.exists() and packed.read_bytes() != keys.pem(ours):
            raise Refused(
                f"the backup's checkpoints are signed by another key than {keys.public_key_file(settings)}; nothing was "
                "changed. Put the key of then in its place (PARAMEDIC_SIGNING_KEY_FILE)"
            )
        return ours
    if not packed.exists() and needed:
        raise BadBackup(f"there are checkpoints, and no {PUBLIC} to verify them with")
    if not packed.exists():
        return Ed25519PrivateKey.generate().public_key()  # nothing was ever signed
    try:
        key = serialization.load_pem_public_key(packed.read_bytes())
    except ValueError as error:
        raise BadBackup(f"its {PUBLIC} cannot be read: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadBackup(f"its {PUBLIC} is not an Ed25519 key")
    return key


def _verified(store: Store, marks: list[Checkpoint], key: Ed25519PublicKey, *, signed_later: int) -> Verification:
    with store.read() as tx:
        return verification.verify(
            stored_trail.entries(tx),
            lambda seq: stored_trail.content(tx, seq),
            marks,
            key,
            tx.store,
            seal=seals.newest(tx),
            signed_later=signed_later,
        )


def _keep_keys(folder: Path, settings: Settings) -> None:
    """Install the backup's keys; existing keys stay as they are."""
    public = folder / PUBLIC
    if public.exists():
        keys.read_or_create(keys.public_key_file(settings), public.read_bytes, mode=0o644)
    for name, place in KEYS.items():
        private = folder / name
        if private.exists():
            keys.read_or_create(place(settings), private.read_bytes)


def _sign(settings: Settings, url: str) -> bool:
    """Sign the new generation's first checkpoint, if the key is here: without it the generation does not count."""
    if not keys.signing_key_file(settings).exists():
        return False
    store = Store(url)
    try:
        checkpoints.sign(store, settings, vouched=True)
    finally:
        store.close()
    return True
