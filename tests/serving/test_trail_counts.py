"""What the trail says happened is counted from the first look on, each entry once, and nothing that a restore brought."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from paramedic.serving.trail_counts import TrailCounts
from paramedic.store import Store, kill_switch, tables

RESUMED = ("acts.resumed",)  # the last entry of each pause


@pytest.fixture
def copy(sqlite_template: Path, tmp_path: Path) -> Iterator[Callable[..., Store]]:
    """A store with so many pauses on its trail, at this generation."""
    made: list[Store] = []

    def copied(pauses: int, generation: int = 1) -> Store:
        store = Store(f"sqlite:///{shutil.copyfile(sqlite_template, tmp_path / f'{len(made)}.db')}")
        made.append(store)
        with store.write() as tx:
            tx.conn.execute(update(tables.meta).values(generation=generation))
        pause(store, pauses)
        return store

    yield copied
    for store in made:
        store.close()


def pause(store: Store, times: int = 1) -> None:
    for _ in range(times):
        with store.record() as tx:
            kill_switch.pause(tx, by="ada", reason="look")
            kill_switch.resume(tx, by="ada", reason="seen")


def follow(counts: TrailCounts, store: Store) -> int:
    with store.read() as tx:
        counts.follow(tx)
    return counts.decisions[RESUMED]


def test_what_was_before_the_first_look_is_not_counted_and_each_later_entry_is_once(copy: Callable[..., Store]) -> None:
    counts, store = TrailCounts(), copy(3)
    assert follow(counts, store) == 0
    pause(store, 2)
    assert [follow(counts, store), follow(counts, store)] == [2, 2]


def test_the_past_of_a_store_that_was_restored_is_not_counted(copy: Callable[..., Store]) -> None:
    counts, store, other = TrailCounts(), copy(1), copy(4, generation=2)
    follow(counts, store)
    assert follow(counts, other) == 0
    pause(other)
    assert follow(counts, other) == 1


def test_a_trail_that_is_shorter_than_before_is_followed_from_its_end_on(copy: Callable[..., Store]) -> None:
    counts, store, shorter = TrailCounts(), copy(3), copy(1)
    follow(counts, store)
    assert follow(counts, shorter) == 0
    pause(shorter)
    assert follow(counts, shorter) == 1
