"""The trail as JSON Lines: exports, and sealed segments of entries that leave. docs/trail.md has the format."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from paramedic.audit import chain as audit_chain
from paramedic.audit import verification
from paramedic.audit.chain import Checkpoint, Entry, Seal, sign_seal
from paramedic.errors import PermanentError, Refused
from paramedic.machine.clock import iso
from paramedic.machine.kill_points import kill_point
from paramedic.store import Store, Tx, seals
from paramedic.store import trail as stored_trail

#: What leaves in one transaction: others wait for so long as its removal takes.
MOST = 20_000


class BadSegment(PermanentError):
    """The file is not a complete segment of this trail, sealed by our key; the message says what is wrong with it."""


def exported(tx: Tx, marks: Sequence[Checkpoint], *, contents: bool) -> Iterator[str]:
    """The lines of an export: header, beginning, every entry, every checkpoint."""
    yield from map(_line, _opening(tx))
    for entry in stored_trail.entries(tx):
        yield _line(_entry_row(tx, entry, contents=contents))
    for mark in marks:
        yield _line({"kind": "checkpoint", "checkpoint": asdict(mark)})


def seal(
    store: Store, key: Ed25519PrivateKey, file: Path, *, before: datetime, contents: bool = True, most: int = MOST
) -> Seal | None:
    """Write the entries before this moment to a signed segment, verify it, and only then remove them; None if none may leave.

    An existing file counts as an interrupted seal: it is verified, and its entries are removed
    if it still is in the trail. `store` is the owner's. Raises Refused, BadSegment, StoreUnavailable, OSError.
    """
    _may_remove(store)
    if not file.exists() and not _write(store, key, file, before=before, contents=contents, most=most):
        return None
    kill_point("segment_written")
    sealed = read(file, key.public_key(), store.uuid)
    with store.record() as tx:
        last = seals.newest(tx)
        if last is not None and (last.first, last.seq, last.hash) == (sealed.first, sealed.seq, sealed.hash):
            return sealed  # it left before, and nobody lived to say so
        refusal = seals.remove(tx, sealed, str(file.absolute()))
        if refusal is not None:
            raise Refused(f"{file}: {refusal}; nothing was removed")
    return sealed


def _may_remove(store: Store) -> None:
    with store.read() as tx:
        if stored_trail.role_may(tx, "DELETE") is False:
            raise Refused(
                "this role may not remove entries from the trail, and that is as it should be; the role that owns the "
                "tables does it: PARAMEDIC_STORE_OWNER_URL"
            )


def _write(store: Store, key: Ed25519PrivateKey, file: Path, *, before: datetime, contents: bool, most: int) -> bool:
    """Write it beside its place, then move it there; False where nothing is old enough. Raises Refused at a gap."""
    part = file.with_name(f"{file.name}.part")
    with store.read() as tx:
        span = seals.removable(tx, before, most)
        if span.last < span.first:
            return False
        previous = seals.newest(tx)
        generation = previous.generation if previous is not None else 1
        last: Entry | None = None
        with os.fdopen(
            os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w", encoding="ascii"
        ) as out:
            out.writelines(map(_line, _opening(tx)))
            for last in stored_trail.entries(tx, limit=span.last - span.first + 1):
                generation = audit_chain.begins(last) or generation
                out.write(_line(_entry_row(tx, last, contents=contents)))
            if last is None or last.seq != span.last:
                raise Refused(
                    f"the trail has no entry {span.last}: `paramedic audit verify` says more; nothing was removed"
                )
            draft = Seal(tx.store, generation, span.first, last.seq, last.hash, last.at, iso(tx.now))
            out.write(_line({"kind": "seal", "seal": asdict(sign_seal(key, draft))}))
            out.flush()
            os.fsync(out.fileno())
    part.rename(file)
    folder = os.open(file.absolute().parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    return True


def read(file: Path, key: Ed25519PublicKey, store: str) -> Seal:
    """The seal of a complete segment of this store, signed by this key. Raises BadSegment, OSError."""
    with file.open(encoding="ascii", newline="") as lines:
        try:
            return _Reading(lines, key, store).seal()
        except (ValueError, TypeError, KeyError, AttributeError, StopIteration) as error:
            raise BadSegment(f"{file}: is not a complete segment of the trail: {error or 'it is cut off'}") from error


class _Reading:
    """Reads a segment's lines in bounded memory."""

    def __init__(self, lines: Iterator[str], key: Ed25519PublicKey, store: str) -> None:
        self._lines = lines
        self._key = key
        self._store = store
        self._beside: tuple[bytes, Mapping[str, Any]] | None = None
        self._last: Entry | None = None
        self._first: int | None = None
        self._seal: Seal | None = None

    def seal(self) -> Seal:
        head = json.loads(next(self._lines))
        if head.get("kind") != "trail" or head.get("store") != self._store:
            raise ValueError(f"it is of store {head.get('store')!r:.60}, not of {self._store}")
        second = next(self._lines)
        row = json.loads(second)
        begins = Seal(**row["seal"]) if row["kind"] == "seal" else None
        self._lines = self._lines if begins else chain([second], self._lines)
        found = verification.verify(
            self._entries(), lambda _: self._beside, [], self._key, self._store, seal=begins, signed_later=1
        )
        if found.faults:
            raise ValueError(f"entry {found.faults[0].seq} {found.faults[0].what}")
        if self._seal is None or self._last is None:
            raise ValueError("it has no seal at its end")
        if not self._seal.is_signed_by(self._key) or self._seal.store != self._store:
            raise ValueError("its seal is not signed by our key")
        if (self._first, self._last.seq, self._last.hash) != (self._seal.first, self._seal.seq, self._seal.hash):
            raise ValueError("its seal is of another segment")
        return self._seal

    def _entries(self) -> Iterator[Entry]:
        for line in self._lines:
            row = json.loads(line)
            if self._seal is not None:
                raise ValueError("it goes on after its seal")
            if row["kind"] == "seal":
                self._seal = Seal(**row["seal"])
                continue
            beside = row.get("content")
            self._beside = None if beside is None else (bytes.fromhex(beside["salt"]), beside["said"])
            self._last = Entry(**row["entry"])
            self._first = self._last.seq if self._first is None else self._first
            yield self._last


def _opening(tx: Tx) -> Iterator[dict[str, Any]]:
    yield {"kind": "trail", "schema": audit_chain.SCHEMA, "store": tx.store}
    sealed = seals.newest(tx)
    if sealed is not None:
        yield {"kind": "seal", "seal": asdict(sealed)}


def _entry_row(tx: Tx, entry: Entry, *, contents: bool) -> dict[str, Any]:
    beside = stored_trail.content(tx, entry.seq) if contents and entry.content_digest else None
    content_fields = {} if beside is None else {"content": {"salt": beside[0].hex(), "said": beside[1]}}
    return {"kind": "entry", "entry": asdict(entry), **content_fields}


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=True) + "\n"
