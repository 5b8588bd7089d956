"""An entry that was changed, removed, inserted, moved or cut off is named."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from forms import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from paramedic.audit import chain, verification
from paramedic.audit.chain import Checkpoint, Entry

STORE = "362001c6-7aa7-4db2-a4e1-95b587ec8152"
KEY = Ed25519PrivateKey.generate()


def _entry(previous: Entry | None, number: int, content: Mapping[str, Any] | None = None, store: str = STORE) -> Entry:
    return chain.chain(
        previous,
        store=store,
        at=f"2026-01-31T09:30:{number % 60:02d}.000000Z",
        actor="run:1",
        phase="intent",
        what="restart",
        incident="INC-1",
        target="web-1/tracking-api",
        reason=f"reason {number}",
        data={"act": number},
        content=content,
        salt=b"salt" if content else None,
    )


def _chain(length: int, store: str = STORE) -> list[Entry]:
    entries: list[Entry] = []
    for number in range(1, length + 1):
        entries.append(_entry(entries[-1] if entries else None, number, store=store))
    return entries


def _mark(entry: Entry, store: str = STORE) -> Checkpoint:
    return chain.sign_checkpoint(KEY, store=store, seq=entry.seq, at_hash=entry.hash, at=entry.at, generation=1)


def _verify(entries: list[Entry], marks: list[Checkpoint]) -> verification.Verification:
    return verification.verify(entries, None, marks, KEY.public_key(), STORE)


def test_a_whole_chain_verifies_and_says_how_much_no_checkpoint_covers() -> None:
    entries = _chain(10)
    found = _verify(entries, [_mark(entries[6])])
    assert (found.verified, found.entries, found.uncovered, found.checkpoints) == (True, 10, 3, 1)


@settings(max_examples=examples(60), deadline=None)
@given(at=st.integers(0, 8), field=st.sampled_from(["reason", "actor", "what", "data", "at", "target"]))
def test_a_changed_entry_is_named(at: int, field: str) -> None:
    entries = _chain(9)
    value: Any = {"act": 999} if field == "data" else "changed"
    entries[at] = dataclasses.replace(entries[at], **{field: value})
    found = _verify(entries, [])
    assert [fault.seq for fault in found.faults] == [at + 1]
    assert "changed" in found.faults[0].what


@settings(max_examples=examples(30), deadline=None)
@given(first=st.integers(0, 7), count=st.integers(1, 3))
def test_removed_entries_are_named(first: int, count: int) -> None:
    entries = _chain(12)
    found = _verify(entries[:first] + entries[first + count :], [])
    assert found.faults[0].seq == first + 1
    assert "removed" in found.faults[0].what


@settings(max_examples=examples(30), deadline=None)
@given(at=st.integers(1, 8))
def test_an_inserted_entry_is_named(at: int) -> None:
    entries = _chain(9)
    forged = _entry(entries[at - 1], 999)
    found = _verify([*entries[:at], forged, *entries[at:]], [])
    assert at + 1 in [fault.seq for fault in found.faults]


@settings(max_examples=examples(30), deadline=None)
@given(one=st.integers(0, 8), other=st.integers(0, 8))
def test_entries_that_changed_places_are_named(one: int, other: int) -> None:
    entries = _chain(9)
    entries[one], entries[other] = entries[other], entries[one]
    assert _verify(entries, []).verified is (one == other)


@settings(max_examples=examples(30), deadline=None)
@given(left=st.integers(0, 8), covered=st.integers(1, 9))
def test_a_trail_that_was_cut_off_below_its_last_checkpoint_is_named(left: int, covered: int) -> None:
    entries = _chain(9)
    found = _verify(entries[:left], [_mark(entries[covered - 1])])
    assert found.verified is (left >= covered)
    if left < covered:
        assert found.faults[-1].seq == left + 1
        assert "cut off" in found.faults[-1].what


def test_a_chain_written_anew_from_its_first_entry_meets_its_checkpoints() -> None:
    old, new = _chain(9), []
    for number in range(1, 10):
        new.append(_entry(new[-1] if new else None, number + 100))
    assert _verify(new, []).verified, "without a checkpoint nobody could tell"
    found = _verify(new, [_mark(old[4])])
    assert [fault.seq for fault in found.faults] == [5]


def test_a_chain_of_another_store_is_not_ours() -> None:
    other = "00000000-7aa7-4db2-a4e1-95b587ec8152"
    assert _verify(_chain(3, store=other), []).faults[0].seq == 1
    assert "another store" in _verify(_chain(3), [_mark(_chain(3, store=other)[2], store=other)]).faults[0].what


@pytest.mark.parametrize("field", ["seq", "hash", "at", "store", "generation"])
def test_a_changed_checkpoint_is_named(field: str) -> None:
    entries = _chain(5)
    mark = _mark(entries[3])
    changed = dataclasses.replace(mark, **{field: 5 if field in ("seq", "generation") else "x"})
    assert not _verify(entries, [changed]).verified


def test_a_checkpoint_signed_by_somebody_else_is_named() -> None:
    entries = _chain(5)
    mark = chain.sign_checkpoint(
        Ed25519PrivateKey.generate(), store=STORE, seq=5, at_hash=entries[4].hash, at=entries[4].at, generation=1
    )
    assert "signature" in _verify(entries, [mark]).faults[0].what


def test_content_can_be_erased_but_not_changed() -> None:
    entry = _entry(None, 1, content={"note": "Ada wrote this"})
    kept = {1: (b"salt", {"note": "Ada wrote this"})}
    assert verification.verify([entry], kept.get, [], KEY.public_key(), STORE).verified
    erased = verification.verify([entry], {}.get, [], KEY.public_key(), STORE)
    assert (erased.verified, erased.erased) == (True, (1,))
    changed = verification.verify([entry], {1: (b"salt", {"note": "no"})}.get, [], KEY.public_key(), STORE)
    assert [fault.seq for fault in changed.faults] == [1]


def test_what_the_chain_cannot_hold_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="restart"):
        chain.chain(
            None, store=STORE, at="", actor="", phase="intent", what="restart", incident=None, target=None, reason="",
            data={"big": 2**60}, content=None, salt=None,
        )  # fmt: skip
    with pytest.raises(ValueError, match="decision, intent, outcome"):
        chain.chain(
            None, store=STORE, at="", actor="", phase="wish", what="x", incident=None, target=None, reason="",
            data={}, content=None, salt=None,
        )  # fmt: skip


def test_a_checkpoint_survives_its_line() -> None:
    mark = _mark(_chain(1)[0])
    assert Checkpoint.from_line(mark.as_line()) == mark
    with pytest.raises(ValueError, match="not a checkpoint"):
        Checkpoint.from_line('{"store": 1}')
