"""Wake-ups: a subscriber receives them at once, and a missing one costs nobody anything."""

import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from open_files import beyond_select

from paramedic.store import Store
from paramedic.store.wakeups import DISPATCH, RESPONDER, listen, notify, subscribe

pytestmark = pytest.mark.real


@pytest.fixture
def store(store_url: str) -> Store:
    return Store(store_url)


def test_a_process_with_many_open_files_hears_it(store: Store) -> None:
    with beyond_select():
        subscription = subscribe(store, RESPONDER)
        subscription.wait(0)
        notify(store, RESPONDER, {"run": 1})
        assert _heard(subscription) == [{"run": 1}]


def _heard(subscription: Any, seconds: float = 5) -> list[dict[str, Any]]:
    """The next payloads that are not empty: a subscription on PostgreSQL begins with an empty one."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        payloads = [payload for payload in subscription.wait(0.2) if payload]
        if payloads:
            return payloads
    return []


def test_every_subscriber_of_the_topic_receives_it(store: Store) -> None:
    first, second, other = subscribe(store, RESPONDER), subscribe(store, RESPONDER), subscribe(store, DISPATCH)
    for subscription in (first, second, other):
        subscription.wait(0)
    notify(store, RESPONDER, {"run": 1})
    assert _heard(first) == [{"run": 1}]
    assert _heard(second) == [{"run": 1}]
    assert _heard(other, 0.5) == []
    for subscription in (first, second, other):
        subscription.close()


def test_a_notification_ends_the_wait(store: Store) -> None:
    subscription, heard = subscribe(store, DISPATCH), threading.Event()
    subscription.wait(0.2)
    stop = threading.Event()
    thread = listen(subscription, lambda payload: heard.set() if payload.get("n") == 1 else None, stop)
    notify(store, DISPATCH, {"n": 1})
    assert heard.wait(5)
    stop.set()
    thread.join(10)


def test_a_payload_that_is_too_long_is_a_reason_to_look(store: Store) -> None:
    subscription = subscribe(store, DISPATCH)
    subscription.wait(0.2)
    notify(store, DISPATCH, {"long": "x" * 100_000})
    ends = time.monotonic() + 5
    payloads: list[dict[str, Any]] = []
    while not payloads and time.monotonic() < ends:
        payloads = subscription.wait(0.2)
    assert payloads == [{}]
    subscription.close()


def test_to_notify_where_nobody_subscribes_is_not_an_error(store: Store) -> None:
    notify(store, RESPONDER, {"run": 1})


def test_a_folder_with_a_long_name_and_a_listener_that_died(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    store = Store(f"sqlite:///{folder}/paramedic.db")
    dead = folder / f".{RESPONDER}.1.bell"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as gone:
        here = os.open(folder, os.O_RDONLY)
        gone.bind(f"/proc/self/fd/{here}/{dead.name}")
        os.close(here)
    subscription = subscribe(store, RESPONDER)
    notify(store, RESPONDER, {"run": 1})
    assert subscription.wait(5) == [{"run": 1}]
    assert not dead.exists()
    (mine,) = folder.glob(".responder.*.bell")
    assert mine.stat().st_mode & 0o077 == 0, "nobody else may notify"
    subscription.close()
    assert not mine.exists()


def test_what_is_not_a_payload_is_a_reason_to_look(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/paramedic.db")
    subscription = subscribe(store, RESPONDER)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        for data in (b"\xff", b"[1]", b"{}"):
            ours.sendto(data, str(next(tmp_path.glob(".responder.*.bell"))))
    assert subscription.wait(5) == [{}, {}, {}]
    subscription.close()


def test_a_flood_of_notifications_neither_blocks_nor_fails(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/paramedic.db")
    subscription = subscribe(store, RESPONDER)
    began = time.monotonic()
    for number in range(3000):
        notify(store, RESPONDER, {"n": number})
    assert time.monotonic() - began < 30
    assert subscription.wait(1)[0] == {"n": 0}
    subscription.close()


@pytest.mark.parametrize("backend", ["postgresql"])
def test_a_listener_whose_connection_is_cut_listens_again_and_looks(store: Store) -> None:
    subscription = subscribe(store, DISPATCH)
    assert subscription.wait(1) == [{}]
    with store.engine.begin() as conn:
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'"
        assert conn.exec_driver_sql(cut).scalar_one() is True
    ends = time.monotonic() + 10
    payloads: list[dict[str, Any]] = []
    while not payloads and time.monotonic() < ends:
        payloads = subscription.wait(0.2)
    assert payloads == [{}], "what was sent meanwhile is looked for"
    notify(store, DISPATCH, {"n": 1})
    assert _heard(subscription) == [{"n": 1}]
    subscription.close()


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "postgresql://nobody@127.0.0.1:9/none"])
def test_whatever_the_store_is_like_notifying_never_raises(url: str) -> None:
    store = Store(url)
    notify(store, DISPATCH, {"n": 1})
    subscription = subscribe(store, DISPATCH)
    began = time.monotonic()
    assert subscription.wait(0.2) == []
    assert time.monotonic() - began < 10
    subscription.close()
