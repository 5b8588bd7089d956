"""Verification of a trail: names every entry that is not as it was written."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from paramedic.audit.chain import RESTORED, Checkpoint, Entry, Seal, begins, digest, genesis


@dataclass(frozen=True, slots=True)
class Fault:
    """One deviation from what was written, at entry `seq`."""

    seq: int
    what: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of verifying a whole trail."""

    entries: int
    faults: tuple[Fault, ...]
    erased: tuple[int, ...]  # content that was taken away, lawfully or not: the chain cannot tell
    uncovered: int  # entries after the last checkpoint: they could be cut off unseen
    checkpoints: int
    sealed: int = 0  # the last entry that left for a sealed segment
    restores: tuple[tuple[int, int], ...] = ()  # the entry at which each later generation began, and which
    left_behind: int = 0  # checkpoints of generations that a restore replaced: their entries are not in this trail
    reached: int = 0  # the last entry

    @property
    def verified(self) -> bool:
        """Whether no fault was found."""
        return not self.faults


#: A trail whose entries span more time than this has a checkpoint: the watchdog signs one every minute.
UNSIGNED_AT_MOST = timedelta(minutes=10)


@dataclass
class _Look:
    """The state of one walk along the chain."""

    marked: frozenset[int]  # entries that a checkpoint saw
    generations: list[tuple[int, int]]  # from which entry on the chain is of which generation
    faults: list[Fault] = field(default_factory=list)
    erased: list[int] = field(default_factory=list)
    hashes: dict[int, str] = field(default_factory=dict)  # of the entries that a checkpoint saw
    entries: int = 0
    reached: int = 0
    first_at: str = ""
    last_at: str = ""

    def fault(self, seq: int, what: str) -> None:
        self.faults.append(Fault(seq, what))

    def generation_at(self, seq: int) -> int:
        return next((generation for since, generation in reversed(self.generations) if since <= seq), 1)


def verify(
    entries: Iterable[Entry],
    contents: Callable[[int], tuple[bytes, Mapping[str, Any]] | None] | None,
    checkpoints: Sequence[Checkpoint],
    public_key: Ed25519PublicKey,
    store: str,
    *,
    seal: Seal | None = None,
    signed_later: int | None = None,
    needs_checkpoint: bool = False,
) -> Verification:
    """Walk the chain in the order it is given and name every entry that is not as it was written.

    `contents` gives an entry's erasable content with its salt; None skips that look. `seal` says where a chain goes on
    whose beginning has left. A generation counts only where the key has signed its first entry or a later one;
    `signed_later` is the first generation that is signed after this look. `needs_checkpoint`: a trail that is older than
    UNSIGNED_AT_MOST and has no signature at all is a fault. Memory does not grow with the trail.
    """
    look = _Look(frozenset(mark.seq for mark in checkpoints), [(0, 1)])
    marks = _trusted(checkpoints, public_key, store, look)
    expected, previous = _beginning(seal, public_key, store, look)
    for entry in entries:
        look.entries += 1
        _follow(entry, expected, previous, look)
        if entry.computed_hash() != entry.hash:
            look.fault(entry.seq, "was changed: its fields do not give its hash")
        _content(entry, contents, look)
        _generation(entry, look)
        look.first_at, look.last_at = look.first_at or entry.at, entry.at
        if entry.seq in look.marked:
            look.hashes[entry.seq] = entry.hash
        expected, previous, look.reached = entry.seq + 1, entry.hash, max(look.reached, entry.seq)
    sealed = seal.seq if seal is not None else 0
    last, left = _vouched(marks, sealed, look, signed_later)
    if needs_checkpoint and not marks and seal is None and _is_old(look):
        look.fault(
            look.reached, "has no checkpoint, and none before it has: somebody took them away, or no watchdog ever ran"
        )
    return Verification(
        look.entries,
        tuple(look.faults),
        tuple(look.erased),
        max(0, look.reached - last),
        len(marks),
        sealed,
        tuple(look.generations[1:]),
        left,
        look.reached,
    )


def _beginning(seal: Seal | None, public_key: Ed25519PublicKey, store: str, look: _Look) -> tuple[int, str]:
    """The number of the first entry, and the hash that it follows."""
    if seal is None:
        return 1, genesis(store)
    if seal.store != store or not seal.is_signed_by(public_key):
        look.fault(seal.seq, "was sealed by a word that is not signed by our key: what came before was cut off")
    look.reached = seal.seq
    look.generations = [(0, seal.generation)]
    look.hashes[seal.seq] = seal.hash
    return seal.seq + 1, seal.hash


def _generation(entry: Entry, look: _Look) -> None:
    """Take note of the generation that begins with this entry: each is higher than the one before."""
    begun = begins(entry)
    if entry.what == RESTORED and begun is None:
        look.fault(entry.seq, "tells of a restore and names no generation")
    if begun is not None:
        if begun <= look.generations[-1][1]:
            look.fault(entry.seq, f"begins generation {begun} after generation {look.generations[-1][1]}")
        look.generations.append((entry.seq, begun))


def _is_old(look: _Look) -> bool:
    try:
        span = datetime.fromisoformat(look.last_at) - datetime.fromisoformat(look.first_at)
    except (ValueError, TypeError):
        return look.entries > 0  # what says no time was not written by us
    return span > UNSIGNED_AT_MOST


def _vouched(marks: Sequence[Checkpoint], sealed: int, look: _Look, signed_later: int | None) -> tuple[int, int]:
    """The last entry that a checkpoint vouches for, and how many checkpoints are of a generation that a restore replaced."""
    last, left, signed = sealed, 0, sealed
    for mark in marks:
        if mark.seq < sealed:
            continue  # it saw what has left: the segment is verified with it
        if _is_left_behind(mark, look):
            left += 1
        else:
            last = max(last, mark.seq)
            if look.hashes.get(mark.seq) == mark.hash:
                signed = max(signed, mark.seq)
    if look.reached < last:
        look.fault(look.reached + 1, f"is missing: the trail was cut off; a signed checkpoint saw entry {last}")
    for since, generation in look.generations[1:]:
        if since > signed and (signed_later is None or generation < signed_later):
            look.fault(
                since,
                f"begins generation {generation}, and our key has signed neither it nor any entry since: it is a forgery, "
                "or a restore whose signature is missing (docs/trail.md)",
            )
    return last, left


def _is_left_behind(mark: Checkpoint, look: _Look) -> bool:
    """Whether the checkpoint is of a generation that a restore replaced; records a fault where it contradicts this one."""
    newest, here = look.generations[-1][1], look.generation_at(mark.seq)
    if mark.generation > newest:
        look.fault(
            mark.seq, f"has a checkpoint of generation {mark.generation}, and the trail tells of no such restore"
        )
    elif mark.generation == here:
        if look.hashes.get(mark.seq, mark.hash) != mark.hash:
            look.fault(mark.seq, "is not the entry that a signed checkpoint saw: the chain was rewritten")
        return False
    elif mark.generation == newest:
        look.fault(mark.seq, f"has a checkpoint of generation {newest}, which began later: another life had its number")
    return True


def _follow(entry: Entry, expected: int, previous: str, look: _Look) -> None:
    """Report an entry that does not follow the one before it: removed, inserted, moved or replaced."""
    if entry.seq == expected and entry.previous == previous:
        return
    if entry.seq > expected:
        gone = f"entry {expected}" if entry.seq == expected + 1 else f"entries {expected} to {entry.seq - 1}"
        look.fault(expected, f"is missing: {gone} removed before entry {entry.seq}")
    elif entry.seq < expected:
        look.fault(entry.seq, "stands twice or out of its order: it was inserted or moved")
    else:
        look.fault(entry.seq, f"does not follow entry {expected - 1}: one of the two was replaced")


def _content(
    entry: Entry, contents: Callable[[int], tuple[bytes, Mapping[str, Any]] | None] | None, look: _Look
) -> None:
    """Compare what is stored beside the entry with its digest; where it was erased, take note."""
    if contents is None or entry.content_digest is None:
        return
    content = contents(entry.seq)
    if content is None:
        look.erased.append(entry.seq)
    elif digest(content[1], content[0]) != entry.content_digest:
        look.fault(entry.seq, "has other content beside it than when it was written")


def _trusted(
    checkpoints: Sequence[Checkpoint], public_key: Ed25519PublicKey, store: str, look: _Look
) -> list[Checkpoint]:
    """The checkpoints that our key has signed for this store; each of the others is a fault."""
    trusted = []
    for mark in checkpoints:
        if not mark.is_signed_by(public_key):
            look.fault(mark.seq, "has a checkpoint whose signature is not ours: the checkpoint was changed or forged")
            continue
        if mark.store != store:
            look.fault(mark.seq, f"has a checkpoint of another store, {mark.store}")
            continue
        trusted.append(mark)
    return trusted
