"""Bells: who listens is told at once, who does not costs nobody anything."""

import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from paramedic.store import Store
from paramedic.store.wakeups import DISPATCH, RESPONDER, hang, listen, ring

pytestmark = pytest.mark.real


@pytest.fixture
def store(store_url: str) -> Store:
    return Store(store_url)


def _heard(bell: Any, seconds: float = 5) -> list[dict[str, Any]]:
    """The next words that say something: a bell on PostgreSQL begins with an empty one."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        words = [word for word in bell.wait(0.2) if word]
        if words:
            return words
    return []


def test_everybody_who_listens_for_the_room_hears_it(store: Store) -> None:
    first, second, other = hang(store, RESPONDER), hang(store, RESPONDER), hang(store, DISPATCH)
    for bell in (first, second, other):
        bell.wait(0)
    ring(store, RESPONDER, {"run": 1})
    assert _heard(first) == [{"run": 1}]
    assert _heard(second) == [{"run": 1}]
    assert _heard(other, 0.5) == []
    for bell in (first, second, other):
        bell.close()


def test_a_ring_ends_the_wait(store: Store) -> None:
    bell, heard = hang(store, DISPATCH), threading.Event()
    bell.wait(0.2)
    stop = threading.Event()
    thread = listen(bell, lambda word: heard.set() if word.get("n") == 1 else None, stop)
    ring(store, DISPATCH, {"n": 1})
    assert heard.wait(5)
    stop.set()
    thread.join(10)


def test_what_is_too_long_to_be_said_is_a_reason_to_look(store: Store) -> None:
    bell = hang(store, DISPATCH)
    bell.wait(0.2)
    ring(store, DISPATCH, {"long": "x" * 100_000})
    ends = time.monotonic() + 5
    words: list[dict[str, Any]] = []
    while not words and time.monotonic() < ends:
        words = bell.wait(0.2)
    assert words == [{}]
    bell.close()


def test_to_ring_where_nobody_listens_is_no_error(store: Store) -> None:
    ring(store, RESPONDER, {"run": 1})


def test_a_folder_with_a_long_name_and_a_listener_that_died(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    store = Store(f"sqlite:///{folder}/paramedic.db")
    dead = folder / f".{RESPONDER}.1.bell"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as gone:
        here = os.open(folder, os.O_RDONLY)
        gone.bind(f"/proc/self/fd/{here}/{dead.name}")
        os.close(here)
    bell = hang(store, RESPONDER)
    ring(store, RESPONDER, {"run": 1})
    assert bell.wait(5) == [{"run": 1}]
    assert not dead.exists()
    (mine,) = folder.glob(".responder.*.bell")
    assert mine.stat().st_mode & 0o077 == 0, "nobody else may ring"
    bell.close()
    assert not mine.exists()


def test_what_is_no_word_is_a_reason_to_look(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/paramedic.db")
    bell = hang(store, RESPONDER)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        for said in (b"\xff", b"[1]", b"{}"):
            ours.sendto(said, str(next(tmp_path.glob(".responder.*.bell"))))
    assert bell.wait(5) == [{}, {}, {}]
    bell.close()


def test_a_flood_of_rings_neither_blocks_nor_fails(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/paramedic.db")
    bell = hang(store, RESPONDER)
    began = time.monotonic()
    for number in range(3000):
        ring(store, RESPONDER, {"n": number})
    assert time.monotonic() - began < 30
    assert bell.wait(1)[0] == {"n": 0}
    bell.close()


@pytest.mark.parametrize("backend", ["postgresql"])
def test_a_listener_whose_connection_is_cut_listens_again_and_looks(store: Store) -> None:
    bell = hang(store, DISPATCH)
    assert bell.wait(1) == [{}]
    with store.engine.begin() as conn:
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'"
        assert conn.exec_driver_sql(cut).scalar_one() is True
    ends = time.monotonic() + 10
    words: list[dict[str, Any]] = []
    while not words and time.monotonic() < ends:
        words = bell.wait(0.2)
    assert words == [{}], "what was rung meanwhile is looked for"
    ring(store, DISPATCH, {"n": 1})
    assert _heard(bell) == [{"n": 1}]
    bell.close()


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "postgresql://nobody@127.0.0.1:9/none"])
def test_whatever_the_store_is_like_nobody_who_rings_falls_over_it(url: str) -> None:
    store = Store(url)
    ring(store, DISPATCH, {"n": 1})
    bell = hang(store, DISPATCH)
    began = time.monotonic()
    assert bell.wait(0.2) == []
    assert time.monotonic() - began < 10
    bell.close()
