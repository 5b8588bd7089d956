"""The audit trail's chain: each entry carries the hash of the one before, and checkpoints carry a signature."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import rfc8785

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

#: The version of an entry's fields; each entry carries it.
SCHEMA = 1

PHASES = ("decision", "intent", "outcome")


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision, intent or outcome. `hash` is SHA-256 over RFC 8785 JSON of all other fields."""

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
        """The value that `hash` must have."""
        fields = {name: getattr(self, name) for name in self.__slots__ if name != "hash"}
        fields["data"] = dict(self.data)
        return hashlib.sha256(rfc8785.dumps(fields)).hexdigest()


def genesis(store: str) -> str:
    """The hash that the first entry of a store's chain follows."""
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
    """The salted digest of content that is stored beside the chain and can be erased."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(salt + text.encode()).hexdigest()


def whole(value: Any) -> Any:
    """The value with text that every database can hold: lone surrogates and null characters become visible escapes."""
    if isinstance(value, str):
        return value.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {whole(key): whole(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [whole(item) for item in value]
    return value


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed statement, kept outside the database, that the chain once reached this entry."""

    store: str
    generation: int
    seq: int
    hash: str
    at: str
    signature: str = ""

    def signed_bytes(self) -> bytes:
        """What the signature covers."""
        return rfc8785.dumps({name: getattr(self, name) for name in self.__slots__ if name != "signature"})

    def is_signed_by(self, key: "Ed25519PublicKey") -> bool:
        """Whether the key's owner signed it."""
        return _signed(self, key)

    def as_line(self) -> str:
        """The checkpoint as one line of JSON."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__}, sort_keys=True)

    @classmethod
    def from_line(cls, line: str) -> Self:
        """The checkpoint of one line. Raises ValueError on anything else."""
        try:
            found = cls(**json.loads(line))
        except (TypeError, ValueError) as error:
            raise ValueError(f"this is not a checkpoint: {line[:80]!r}") from error
        texts = (found.store, found.hash, found.at, found.signature)
        if {type(found.generation), type(found.seq)} != {int} or {type(text) for text in texts} != {str}:
            raise ValueError(f"this is not a checkpoint: {line[:80]!r}")
        return found


def sign_checkpoint(
    key: "Ed25519PrivateKey", *, store: str, seq: int, at_hash: str, at: str, generation: int
) -> Checkpoint:
    """A checkpoint at this entry."""
    draft = Checkpoint(store, generation, seq, at_hash, at)
    return Checkpoint(store, generation, seq, at_hash, at, key.sign(draft.signed_bytes()).hex())


@dataclass(frozen=True, slots=True)
class Seal:
    """A signed statement that the chain's beginning, up to this entry, has moved to a segment; the chain continues from here."""

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

    def is_signed_by(self, key: "Ed25519PublicKey") -> bool:
        """Whether the key's owner signed it."""
        return _signed(self, key)


def _signed(word: Checkpoint | Seal, key: "Ed25519PublicKey") -> bool:
    """Whether the key has signed it; False for whatever cannot be a signature."""
    # cryptography takes as long to import as SQLite's driver, and only who verifies pays.
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(bytes.fromhex(word.signature), word.signed_bytes())
    except (InvalidSignature, ValueError, TypeError, AttributeError, rfc8785.CanonicalizationError):
        return False
    return True


def sign_seal(key: "Ed25519PrivateKey", draft: Seal) -> Seal:
    """The seal with its signature."""
    return replace(draft, signature=key.sign(draft.signed_bytes()).hex())


#: What the entry is called that begins the store's next generation, after a restore from a backup.
RESTORED = "store.restored"


def begins(entry: Entry) -> int | None:
    """The generation that begins with this entry; None unless the entry is a restore."""
    generation = entry.data.get("generation")
    return generation if entry.what == RESTORED and isinstance(generation, int) else None
