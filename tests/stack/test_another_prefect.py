"""A second `paramedic up` on one store, with a Prefect of its own."""

import logging
import threading
import time
from pathlib import Path

import httpx
import pytest
from prefect_server import Prefect

from paramedic.dispatch.__main__ import _claimed
from paramedic.settings import load_settings
from paramedic.stack.stack import Stack
from paramedic.store import Store, prefect_claim
from paramedic.store.migrations import migrate
from paramedic.store.prefect_claim import AnotherPrefect
from paramedic.transports.prefect_http import PrefectApi

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("_nothing_set", "small")]

OTHER = "11111111-0000-4000-8000-000000000000"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Another Prefect's."""
    url = f"sqlite:///{tmp_path}/theirs.db"
    migrate(url)
    store = Store(url)
    with store.write() as tx:
        prefect_claim.claim(tx, OTHER)
    return store


def test_up_ends_and_says_why(prefect: Prefect, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stack, "_gateway_complaint", lambda _: None)  # its processes are small ones
    settings = load_settings(
        data=tmp_path / "data", store_url=f"sqlite:///{tmp_path}/theirs.db", prefect_api_url=prefect.api
    )
    stack = Stack(settings)
    stack.start()
    try:
        with pytest.raises(AnotherPrefect, match="one store has one Prefect: stop the other `paramedic up`"):
            _tick_on(stack)
    finally:
        stack.stop()
    with store.read() as tx:
        prefect_claim.check(tx, OTHER)


def test_a_dispatch_that_makes_its_claim_while_up_looks_is_not_another_prefects(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path / "data", store_url=f"sqlite:///{tmp_path}/ours.db")
    migrate(settings.store())
    store = Store(settings.store())

    def answer(_: httpx.Request) -> httpx.Response:
        with store.write() as tx:  # dispatch is done with it before the answer is here
            prefect_claim.claim(tx, OTHER)
        return httpx.Response(404)

    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://127.0.0.1") as prefect:
        Stack(settings)._check_claim(prefect)


def _tick_on(stack: Stack, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        stack.tick()
        time.sleep(0.02)


def test_dispatch_waits_and_says_why(
    prefect: Prefect, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop = threading.Event()
    monkeypatch.setattr(stop, "wait", lambda _: stop.set())
    with caplog.at_level(logging.WARNING):
        assert _claimed(store, PrefectApi(prefect.api), stop) == ""
    assert "dispatch waits for Prefect or the store: the runs of the store" in caplog.text
    with store.read() as tx:
        prefect_claim.check(tx, OTHER)
