"""The audit trail's chain: each entry carries the hash of the one before, and checkpoints carry a signature."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Self

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

#: The version of an entry's fields; each entry carries it.
SCHEMA = 1

PHASES = ("decision", "intent", "outcome")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was decided, meant or done. `hash` is SHA-256 over RFC 8785 JSON of all other fields."""

    seq: int
    at: str
    actor: str
    phase: str
    what: str
    incident: str | None
    target: str | None
    reason: str
    data: Mapping[str, Any]
    content_digest: str | None
    previous: str
    hash: str
    schema: int = SCHEMA

    def computed_hash(self) -> str:
        """What `hash` must be."""
        fields = {name: getattr(self, name) for name in self.__slots__ if name != "hash"}
        fields["data"] = dict(self.data)
        return hashlib.sha256(rfc8785.dumps(fields)).hexdigest()


def genesis(store: str) -> str:
    """What the first entry of a store's chain follows."""
    return hashlib.sha256(f"paramedic trail {store}".encode()).hexdigest()


def chain(
    previous: Entry | None,
    *,
    store: str,
    at: str,
    actor: str,
    phase: str,
    what: str,
    incident: str | None,
    target: str | None,
    reason: str,
    data: Mapping[str, Any],
    content: Mapping[str, Any] | None,
    salt: bytes | None,
) -> Entry:
    """The entry that follows `previous`. Raises ValueError for a phase or data that the chain cannot hold."""
    if phase not in PHASES:
        raise ValueError(f"phase {phase!r}: allowed are {', '.join(PHASES)}")
    draft = Entry(
        seq=previous.seq + 1 if previous else 1,
        at=at,
        actor=whole(actor),
        phase=phase,
        what=what,
        incident=incident,
        target=None if target is None else whole(target),
        reason=whole(reason),
        data=whole(dict(data)),
        content_digest=digest(content, salt) if content is not None and salt is not None else None,
        previous=previous.hash if previous else genesis(store),
        hash="",
    )
    try:
        hashed = draft.computed_hash()
    except rfc8785.CanonicalizationError as error:
        raise ValueError(f"the data of {what} cannot be written canonically: {error}") from error
    return Entry(**{name: getattr(draft, name) for name in Entry.__slots__ if name != "hash"}, hash=hashed)


def digest(content: Mapping[str, Any], salt: bytes) -> str:
    """The salted digest of content that lies beside the chain and can be erased."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(salt + text.encode()).hexdigest()


def whole(value: Any) -> Any:
    """Text that every database can hold: a lone surrogate and a null character become visible escapes."""
    if isinstance(value, str):
        return value.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {whole(key): whole(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [whole(one) for one in value]
    return value


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed word, kept outside the database, that the chain once reached this entry."""

    store: str
    generation: int
    seq: int
    hash: str
    at: str
    signature: str = ""

    def signed_bytes(self) -> bytes:
        """What the signature covers."""
        return rfc8785.dumps({name: getattr(self, name) for name in self.__slots__ if name != "signature"})

    def is_signed_by(self, key: Ed25519PublicKey) -> bool:
        """Whether the key's owner said so."""
        return _signed(self, key)

    def as_line(self) -> str:
        """One line of JSON."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__}, sort_keys=True)

    @classmethod
    def from_line(cls, line: str) -> Self:
        """The checkpoint of one line. Raises ValueError on anything else."""
        try:
            found = cls(**json.loads(line))
        except (TypeError, ValueError) as error:
            raise ValueError(f"this is no checkpoint: {line[:80]!r}") from error
        texts = (found.store, found.hash, found.at, found.signature)
        if {type(found.generation), type(found.seq)} != {int} or {type(text) for text in texts} != {str}:
            raise ValueError(f"this is no checkpoint: {line[:80]!r}")
        return found


def sign_checkpoint(
    key: Ed25519PrivateKey, *, store: str, seq: int, at_hash: str, at: str, generation: int
) -> Checkpoint:
    """A checkpoint at this entry."""
    draft = Checkpoint(store, generation, seq, at_hash, at)
    return Checkpoint(store, generation, seq, at_hash, at, key.sign(draft.signed_bytes()).hex())


@dataclass(frozen=True, slots=True)
class Seal:
    """A signed word that the chain's beginning, up to this entry, has left for a segment; the chain goes on from here."""

    store: str
    generation: int
    first: int
    seq: int
    hash: str
    last_at: str  # what the last entry says of its time
    at: str
    signature: str = ""

    def signed_bytes(self) -> bytes:
        """What the signature covers."""
        return rfc8785.dumps({name: getattr(self, name) for name in self.__slots__ if name != "signature"})

    def is_signed_by(self, key: Ed25519PublicKey) -> bool:
        """Whether the key's owner said so."""
        return _signed(self, key)


def _signed(word: Checkpoint | Seal, key: Ed25519PublicKey) -> bool:
    try:
        key.verify(bytes.fromhex(word.signature), word.signed_bytes())
    except (InvalidSignature, ValueError, TypeError, AttributeError, rfc8785.CanonicalizationError):
        return False
    return True


def sign_seal(key: Ed25519PrivateKey, draft: Seal) -> Seal:
    """The seal with its signature."""
    return replace(draft, signature=key.sign(draft.signed_bytes()).hex())


#: What the entry is called that begins the store's next generation, after a restore from a backup.
RESTORED = "store.restored"


def begins(entry: Entry) -> int | None:
    """The generation that begins with this entry; None for all but a restore."""
    generation = entry.data.get("generation")
    return generation if entry.what == RESTORED and isinstance(generation, int) else None


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it was written; `seq` says where."""

    seq: int
    what: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What a look at the whole trail found."""

    entries: int
    faults: tuple[Fault, ...]
    erased: tuple[int, ...]  # content that was taken away, lawfully or not: the chain cannot tell
    uncovered: int  # entries after the last checkpoint: they could be cut off unseen
    checkpoints: int
    sealed: int = 0  # the last entry that left for a sealed segment
    restores: tuple[tuple[int, int], ...] = ()  # the entry at which each later generation began, and which
    left_behind: int = 0  # checkpoints of lives that a restore left behind: what they saw is not in this trail
    reached: int = 0  # the last entry

    @property
    def verified(self) -> bool:
        """Whether no fault was found."""
        return not self.faults


#: A trail whose entries span more time than this has a checkpoint: the watchdog signs one every minute.
UNSIGNED_AT_MOST = timedelta(minutes=10)


@dataclass
class _Look:
    """What the walk along the chain remembers."""

    marked: frozenset[int]  # entries that a checkpoint saw
    lives: list[tuple[int, int]]  # from which entry on the chain is of which generation
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
        return next((generation for since, generation in reversed(self.lives) if since <= seq), 1)


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
    expected, previous = 1, genesis(store)
    if seal is not None:
        if seal.store != store or not seal.is_signed_by(public_key):
            look.fault(seal.seq, "was sealed by a word that is not signed by our key: what came before was cut off")
        expected, previous, look.reached = seal.seq + 1, seal.hash, seal.seq
        look.lives = [(0, seal.generation)]
        look.hashes[seal.seq] = seal.hash
    for entry in entries:
        look.entries += 1
        _follow(entry, expected, previous, look)
        if entry.computed_hash() != entry.hash:
            look.fault(entry.seq, "was changed: its fields do not give its hash")
        _content(entry, contents, look)
        begun = begins(entry)
        if entry.what == RESTORED and begun is None:
            look.fault(entry.seq, "tells of a restore and names no generation")
        if begun is not None:
            if begun <= look.lives[-1][1]:
                look.fault(entry.seq, f"begins generation {begun} after generation {look.lives[-1][1]}")
            look.lives.append((entry.seq, begun))
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
        tuple(look.lives[1:]),
        left,
        look.reached,
    )


def _is_old(look: _Look) -> bool:
    try:
        span = datetime.fromisoformat(look.last_at) - datetime.fromisoformat(look.first_at)
    except (ValueError, TypeError):
        return look.entries > 0  # what says no time was not written by us
    return span > UNSIGNED_AT_MOST


def _vouched(marks: Sequence[Checkpoint], sealed: int, look: _Look, signed_later: int | None) -> tuple[int, int]:
    """The last entry that a checkpoint vouches for, and how many vouch for a life that was left behind."""
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
    for since, generation in look.lives[1:]:
        if since > signed and (signed_later is None or generation < signed_later):
            look.fault(
                since,
                f"begins generation {generation}, and our key has signed neither it nor any entry since: it is a forgery, "
                "or a restore whose signature is missing (docs/trail.md)",
            )
    return last, left


def _is_left_behind(mark: Checkpoint, look: _Look) -> bool:
    """Whether the checkpoint saw a life that a restore left behind; a fault where it saw this one, and otherwise."""
    newest, here = look.lives[-1][1], look.generation_at(mark.seq)
    if mark.generation > newest:
        look.fault(
            mark.seq, f"has a checkpoint of generation {mark.generation}, and the trail tells of no such restore"
        )
    elif mark.generation == here:
        if look.hashes.get(mark.seq, mark.hash) != mark.hash:
            look.fault(mark.seq, "is not the entry that a signed checkpoint saw: the chain was written anew")
        return False
    elif mark.generation == newest:
        look.fault(mark.seq, f"has a checkpoint of generation {newest}, which began later: another life had its number")
    return True


def _follow(entry: Entry, expected: int, previous: str, look: _Look) -> None:
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
    if contents is None or entry.content_digest is None:
        return
    kept = contents(entry.seq)
    if kept is None:
        look.erased.append(entry.seq)
    elif digest(kept[1], kept[0]) != entry.content_digest:
        look.fault(entry.seq, "has other content beside it than when it was written")


def _trusted(
    checkpoints: Sequence[Checkpoint], public_key: Ed25519PublicKey, store: str, look: _Look
) -> list[Checkpoint]:
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
