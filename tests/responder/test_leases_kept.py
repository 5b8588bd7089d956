"""A run's lease is renewed whatever else its responder waits for."""

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pool import Pool, warm
from prefect_relay import Relay
from sqlalchemy import select
from waiting import until

from paramedic.responder import run_leases as module
from paramedic.responder.run_leases import RunLeases
from paramedic.store import Store, leases
from paramedic.store.tables import leases as table
from paramedic.store.wakeups import RESPONDER, notify


@pytest.fixture
def taken(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunLeases]:
    monkeypatch.setattr(module, "LEASE", timedelta(seconds=3))
    monkeypatch.setattr(module, "_RENEW_SECONDS", 0.05)
    leases = RunLeases(store)
    leases.start()
    yield leases
    leases.stop()


def _until(store: Store, run: str = "one") -> float:
    """When the run's lease ends."""
    with store.read() as tx:
        ends: datetime = tx.conn.execute(select(table.c.until).where(table.c.name == f"{leases.RUN}{run}")).scalar_one()
    return ends.timestamp()


def test_an_event_loop_that_stands_still_loses_no_lease(store: Store, taken: RunLeases) -> None:
    seen: list[float] = []

    async def work() -> None:
        assert await taken.take("one")
        seen.append(_until(store))
        ends = time.monotonic() + 30
        while time.monotonic() < ends and _until(store) == seen[0]:
            time.sleep(0.02)  # noqa: ASYNC251 - that nothing else of the loop goes on is the point
        seen.append(_until(store))
        await taken.release("one")

    asyncio.run(work())
    assert seen[1] > seen[0]
    with store.read() as tx:
        assert leases.run_out(tx, leases.RUN) == []


def test_a_renewal_that_fails_is_tried_again_whatever_it_met(
    store: Store, taken: RunLeases, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew, failed = taken._renew, []

    def fails_first() -> set[str]:
        if len(failed) < 2:
            failed.append(1)
            raise ZeroDivisionError
        return renew()

    monkeypatch.setattr(taken, "_renew", fails_first)
    monkeypatch.setattr(module, "_ASK_AGAIN_SECONDS", 0.02)
    assert asyncio.run(taken.take("one"))
    first = _until(store)
    until("it is renewed", lambda: _until(store) > first)
    assert len(failed) == 2


@pytest.mark.real
def test_a_poll_that_hangs_gives_no_live_run_up_for_dead_and_replaces_warm_processes(
    pool: Pool, relay: Relay, tmp_path: Path
) -> None:
    run = pool.create("mark", notified=True, file=str(tmp_path / "file"), seconds=300)
    pool.runs(run)
    with relay.hanging() as hung:
        notify(pool.store, RESPONDER, {})  # a reason to poll
        assert hung.wait(60)
        first = _until(pool.store, run)
        idle = until("a warm process waits", lambda: warm(pool.responder)[1:])
        idle[-1].kill()
        until("it is replaced", lambda: idle[-1] not in (found := warm(pool.responder)) and len(found) >= 3)
        until("its lease is renewed", lambda: _until(pool.store, run) > first)
    (tmp_path / "file.go").touch()
    assert pool.ends(run)["state_type"] == "COMPLETED"
