"""The file of signed checkpoints: whole lines, whatever is killed while it is written."""

import fcntl
import json
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from incident_states import handed_over

from paramedic.audit import chain, verification
from paramedic.audit.verification import Verification
from paramedic.store import Store, incidents
from paramedic.store import trail as stored_trail
from paramedic.upkeep import checkpoints

KEY = Ed25519PrivateKey.generate()


def grow(store: Store, number: int = 1) -> None:
    with store.record() as tx:
        incidents.note(tx, number, by="ada", text="one more entry")


def verified(store: Store, path: Path) -> Verification:
    with store.read() as tx:
        marks = checkpoints.read(path)
        return verification.verify(stored_trail.entries(tx), None, marks, KEY.public_key(), tx.store)


def test_each_line_is_a_checkpoint_that_the_trail_verifies_against(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "outside" / "checkpoints.jsonl"
    assert checkpoints.write(store, KEY, path) is None  # an empty trail
    handed_over(store)
    first = checkpoints.write(store, KEY, path)
    assert checkpoints.write(store, KEY, path) is None  # nothing new
    grow(store)
    second = checkpoints.write(store, KEY, path)
    assert checkpoints.read(path) == [first, second]
    assert checkpoints.newest(path) == second
    found = verified(store, path)
    assert (found.verified, found.uncovered, found.checkpoints) == (True, 0, 2)


def test_a_line_that_a_crash_cut_off_spoils_no_other(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.jsonl"
    handed_over(store)
    whole = checkpoints.write(store, KEY, path)
    text = path.read_text()
    for cut in (1, 40, len(text) - 1):
        path.write_text(text + text[:cut])
        assert checkpoints.read(path) == [whole]
        assert checkpoints.newest(path) == whole
        grow(store)
        after = checkpoints.write(store, KEY, path)
        assert checkpoints.read(path) == [whole, after]
        assert verified(store, path).verified


def test_several_may_write_at_once(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.jsonl"
    handed_over(store)

    def work(_: int) -> None:
        grow(store)
        checkpoints.write(store, KEY, path)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(20)))
    marks = checkpoints.read(path)
    assert [mark.seq for mark in marks] == sorted({mark.seq for mark in marks})
    assert verified(store, path).verified


def test_who_writes_waits_for_who_is_writing(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.jsonl"
    handed_over(store)
    with path.open("w") as file, ThreadPoolExecutor(1) as pool:
        fcntl.flock(file, fcntl.LOCK_EX)
        late = pool.submit(checkpoints.write, store, KEY, path)
        assert not wait([late], timeout=1).done
        grow(store)
        checkpoints.write(store, KEY, tmp_path / "another")
        file.write((tmp_path / "another").read_text())  # a newer one than the other saw
        file.flush()
        fcntl.flock(file, fcntl.LOCK_UN)
        assert late.result() is None
    assert len(checkpoints.read(path)) == 1


def test_a_file_that_holds_something_else_is_named(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.jsonl"
    path.write_text("Dear reader\n")
    handed_over(store)
    for read in (checkpoints.read, checkpoints.newest, lambda path: checkpoints.write(store, KEY, path)):
        with pytest.raises(ValueError, match=r"checkpoints\.jsonl.*Dear reader"):
            read(path)
    assert path.read_text() == "Dear reader\n"


def test_the_newest_of_very_many_is_found_without_reading_them_all(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.jsonl"
    handed_over(store)
    mark = checkpoints.write(store, KEY, path)
    path.write_text(path.read_text() * 5000)
    assert checkpoints.newest(path) == mark
    assert checkpoints.newest(tmp_path / "none") is None


@pytest.mark.parametrize("field", ["seq", "generation", "store", "hash", "at", "signature"])
@pytest.mark.parametrize("value", [None, [1], {}, True, 1.5])
def test_a_line_whose_fields_are_of_another_kind_is_no_checkpoint(field: str, value: object) -> None:
    checkpoint = {"store": "s", "generation": 1, "seq": 1, "hash": "h", "at": "t", "signature": "00"} | {field: value}
    with pytest.raises(ValueError, match="not a checkpoint"):
        chain.Checkpoint.from_line(json.dumps(checkpoint))
