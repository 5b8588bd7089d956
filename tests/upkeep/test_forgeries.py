"""One table of forged trails, and of honest ones that look like them: the product and the verifier outside agree on each."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from paramedic import keys
from paramedic.audit.chain import RESTORED, Checkpoint, Entry, Seal, chain, sign_checkpoint, sign_seal
from paramedic.audit.verification import verify
from paramedic.machine.clock import iso

VERIFIER = Path(__file__).parents[2] / "docs" / "verify_trail.py"
KEY, FOREIGN = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
STORE, OTHER = "3f0c9a52-0000-4000-8000-000000000000", "ffffffff-0000-4000-8000-000000000000"
NINE = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)


@dataclass
class Trail:
    """A trail that is written by hand, as somebody can who edits the database."""

    entries: list[Entry] = field(default_factory=list)
    marks: list[Checkpoint] = field(default_factory=list)
    seal: Seal | None = None
    apart: timedelta = timedelta(seconds=1)

    def add(self, count: int = 1, *, generation: int | None = None, reason: str = "a test") -> None:
        for _ in range(count):
            before = self.entries[-1] if self.entries else None
            self.entries.append(
                chain(
                    before,
                    store=STORE,
                    at=iso(NINE + (before.seq if before else 0) * self.apart),
                    actor="person:ada",
                    phase="decision",
                    what="incident.note" if generation is None else RESTORED,
                    incident=None,
                    target=None,
                    reason=reason,
                    data={} if generation is None else {"generation": generation},
                    content=None,
                    salt=None,
                )
            )

    def sign(self, generation: int = 1, *, key: Ed25519PrivateKey = KEY, store: str = STORE) -> None:
        head = self.entries[-1]
        self.marks.append(
            sign_checkpoint(key, store=store, seq=head.seq, at_hash=head.hash, at=head.at, generation=generation)
        )

    def sealed(self, at: int, *, key: Ed25519PrivateKey = KEY, generation: int = 1) -> None:
        last = self.entries[at - 1]
        self.seal = sign_seal(key, Seal(STORE, generation, 1, at, last.hash, last.at, last.at))
        del self.entries[:at]


def _signed(count: int = 6, *, apart: timedelta = timedelta(seconds=1)) -> Trail:
    made = Trail(apart=apart)
    for _ in range(count // 2):
        made.add(2)
        made.sign()
    return made


def _restored(made: Trail, generation: int, *, at: int, signed: bool) -> Trail:
    """What a restore does, or who only writes so: what came after the entry is gone, and another generation begins."""
    del made.entries[at:]
    made.add(generation=generation)
    made.add()
    if signed:
        made.sign(generation)
    made.add()
    return made


def _two_restores(*, second: bool, number: int = 3) -> Trail:
    made = _restored(_signed(), 2, at=4, signed=True)
    return _restored(made, number, at=len(made.entries), signed=second)


def _marks(made: Trail, change: Callable[[list[Checkpoint]], Sequence[Checkpoint]]) -> Trail:
    made.marks = list(change(made.marks))
    return made


def _by(key: Ed25519PrivateKey, store: str = STORE) -> Trail:
    made = _signed()
    made.add()
    made.sign(key=key, store=store)
    return made


def _cut(made: Trail, keep: int) -> Trail:
    del made.entries[keep:]
    return made


def _changed() -> Trail:
    made = _signed()
    made.entries[1] = replace(made.entries[1], reason="something else")
    return made


def _rewritten() -> Trail:
    made = _signed()
    del made.entries[2:]
    made.add(8, reason="another story")
    return made


def _sealed(*, key: Ed25519PrivateKey = KEY, forged: bool = False) -> Trail:
    made = _signed()
    made.sealed(3, key=key)
    return _restored(made, 2, at=3, signed=False) if forged else made


def _seal_vouches_for_a_restore() -> Trail:
    made = _restored(_signed(), 2, at=4, signed=True)
    made.marks.clear()
    made.sealed(6, generation=2)
    return made


def _foreign_generation() -> Trail:
    made = _restored(_signed(), 2, at=4, signed=False)
    made.sign(2, key=FOREIGN)
    return made


HONEST = {
    "a trail with its checkpoints": _signed,
    "its checkpoints twice and in another order": lambda: _marks(_signed(), lambda marks: [*marks[::-1], *marks]),
    "fewer checkpoints": lambda: _marks(_signed(apart=timedelta(hours=1)), lambda marks: marks[:1]),
    "a young trail without any": lambda: _marks(_signed(), lambda _: []),
    "a restore": lambda: _restored(_signed(), 2, at=4, signed=True),
    "a restore of a restore": lambda: _two_restores(second=True),
    "a restore that left numbers out": lambda: _restored(_signed(), 9, at=4, signed=True),
    "a sealed beginning": _sealed,
    "a restore that left with a sealed beginning": _seal_vouches_for_a_restore,
}

FORGED = {
    "a later generation that nobody signed, over what was cut off": lambda: _restored(_signed(), 2, at=4, signed=False),
    "the same over all": lambda: _restored(_signed(), 2, at=0, signed=False),
    "the same at the end": lambda: _restored(_signed(), 2, at=6, signed=False),
    "the same without checkpoints": lambda: _marks(_restored(_signed(), 2, at=4, signed=False), lambda _: []),
    "the same after a restore that was signed": lambda: _two_restores(second=False),
    "the same after a sealed beginning": lambda: _sealed(forged=True),
    "a generation that was there before": lambda: _two_restores(second=False, number=2),
    "a generation that goes back": lambda: _two_restores(second=False, number=1),
    "a restore that names no generation": lambda: _restored(_signed(), "2", at=4, signed=False),  # type: ignore[arg-type]
    "a generation signed by another key": _foreign_generation,
    "a checkpoint of another key": lambda: _by(FOREIGN),
    "a checkpoint of another store": lambda: _by(KEY, OTHER),
    "a trail that was cut off": lambda: _cut(_signed(), 3),
    "a trail that was emptied": lambda: _cut(_signed(), 0),
    "a trail that was written anew": _rewritten,
    "an entry that was changed": _changed,
    "no checkpoint where there should be some": lambda: _marks(_signed(apart=timedelta(hours=1)), lambda _: []),
    "a seal of another key": lambda: _sealed(key=FOREIGN),
    "a checkpoint that was moved": lambda: _marks(_signed(), lambda marks: [replace(marks[0], seq=3), *marks]),
    "a checkpoint of a later generation": lambda: _marks(
        _signed(), lambda marks: [*marks[:-1], replace(marks[-1], generation=2)]
    ),
}


def by_the_product(made: Trail) -> list[str]:
    found = verify(made.entries, None, made.marks, KEY.public_key(), STORE, seal=made.seal, needs_checkpoint=True)
    return [f"entry {fault.seq} {fault.what}" for fault in found.faults]


def by_the_verifier_outside(made: Trail, folder: Path) -> list[str]:
    lines: list[dict[str, object]] = [{"kind": "trail", "schema": 1, "store": STORE}]
    lines += [{"kind": "seal", "seal": asdict(made.seal)}] if made.seal else []
    lines += [{"kind": "entry", "entry": asdict(entry)} for entry in made.entries]
    lines += [{"kind": "checkpoint", "checkpoint": asdict(mark)} for mark in made.marks]
    (folder / "trail.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "trail.pem").write_bytes(keys.pem(KEY.public_key()))
    done = subprocess.run(
        [sys.executable, VERIFIER, folder / "trail.jsonl", folder / "trail.pem"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    output = done.stdout.splitlines()
    assert (done.returncode == 0) == (output == ["the trail is whole"]), done.stderr
    return [] if done.returncode == 0 else output


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_trail_verifies(name: str, tmp_path: Path) -> None:
    made = HONEST[name]()
    assert by_the_product(made) == []
    assert by_the_verifier_outside(made, tmp_path) == []


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_trail_does_not_verify(name: str, tmp_path: Path) -> None:
    made = FORGED[name]()
    assert by_the_product(made)
    assert by_the_verifier_outside(made, tmp_path)
