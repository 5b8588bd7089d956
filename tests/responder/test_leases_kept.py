"""A run's lease is renewed whatever else its responder waits for."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pool import Pool, until, warm
from sqlalchemy import select

from paramedic.responder import run_leases as module
from paramedic.responder.run_leases import LEASE, RunLeases
from paramedic.store import Store, leases
from paramedic.store.tables import leases as table


@pytest.fixture
def taken(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunLeases]:
    monkeypatch.setattr(module, "LEASE", timedelta(seconds=3))
    monkeypatch.setattr(module, "_RENEW_SECONDS", 0.05)
    one = RunLeases(store)
    one.start()
    yield one
    one.stop()


def _until(store: Store) -> float:
    """When the only lease ends."""
    with store.read() as tx:
        ends: datetime = tx.conn.execute(select(table.c.until)).scalar_one()
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


@contextmanager
def _relay(port: int, hangs: threading.Event) -> Iterator[str]:
    """A way to the server on the port; while it `hangs`, whoever asks for runs gets no answer, and all others do."""

    def pass_on(source: socket.socket, sink: socket.socket, *, asks: bool) -> None:
        with closing(source), closing(sink), suppress(OSError):
            while data := source.recv(65_536):
                if asks and hangs.is_set() and b"get_scheduled_flow_runs" in data:
                    threading.Event().wait(120)
                    return
                sink.sendall(data)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", port))
                for one, two, asks in ((client, server, True), (server, client, False)):
                    threading.Thread(target=pass_on, args=(one, two), kwargs={"asks": asks}, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api"


@pytest.mark.real
def test_a_poll_that_hangs_gives_no_live_run_up_for_dead_and_replaces_warm_processes(
    pool: Pool, tmp_path: Path
) -> None:
    hangs = threading.Event()
    port = int(pool.prefect.api.rsplit(":", 1)[1].partition("/")[0])
    with _relay(port, hangs) as api:
        responder = pool.start(PREFECT_API_URL=api, PARAMEDIC_WARM_PROCESSES="1")
        run = pool.create("mark", told=True, file=str(tmp_path / "file"), seconds=300)
        pool.runs(run)
        hangs.set()
        hung_at = time.monotonic()
        idle = until("a warm process waits", lambda: warm(responder)[1:])
        idle[-1].kill()
        until("it is replaced", lambda: len([one for one in warm(responder) if one.is_running()]) >= 2)
        while time.monotonic() - hung_at < LEASE.total_seconds() + 2:
            with pool.store.read() as tx:
                assert leases.run_out(tx, leases.RUN) == []
            time.sleep(0.2)
        (tmp_path / "file.go").touch()
        assert pool.ends(run)["state_type"] == "COMPLETED"
