"""Ready means: a commit has just shown that alerts can be taken."""

import json
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from databases import Clock
from pydantic import SecretStr
from sqlalchemy import text
from starlette.testclient import TestClient

from paramedic.gateway.app import make_app
from paramedic.gateway.group_commit import GroupCommit
from paramedic.gateway.readiness import Readiness
from paramedic.intake.intake import Wake
from paramedic.settings import Settings
from paramedic.store import Store, StoreUnavailable, StoreUnknown, write_probe


def _rows(store: Store) -> list[str]:
    with store.read() as tx:
        return list(tx.conn.execute(text("SELECT content FROM probes")).scalars())


def test_a_probe_writes_something_else_each_time_in_one_row(store: Store) -> None:
    write_probe.write(store, "gateway")
    first = _rows(store)
    write_probe.write(store, "gateway")
    assert len(first) == len(_rows(store)) == 1
    assert _rows(store) != first
    with pytest.raises(StoreUnknown, match="another store stands where store x was"):
        write_probe.write(store, "gateway", expected="x")


@pytest.fixture
def ready(timed: Store, clock: Clock) -> Readiness:
    return Readiness(timed, lambda: True, steady=clock.steady)


def test_readiness_needs_a_commit_that_is_fresh(ready: Readiness, timed: Store, clock: Clock) -> None:
    assert ready.complaint() is None
    before = _rows(timed)
    assert ready.complaint() is None
    assert _rows(timed) == before, "who asks at once again makes no load"
    clock.advance(timedelta(seconds=6))
    assert ready.complaint() is None
    assert _rows(timed) != before


def test_a_refused_commit_counts_until_one_is_taken_or_a_minute_is_over(ready: Readiness, clock: Clock) -> None:
    """A probe may find room where an alert does not."""
    ready.refused()
    clock.advance(timedelta(seconds=50))
    assert ready.complaint() == "the store takes no writes"
    clock.advance(timedelta(seconds=11))
    assert ready.complaint() is None
    ready.refused()
    assert ready.complaint() is not None
    ready.taken()
    assert ready.complaint() is None


def test_a_probe_that_does_not_come_back_keeps_nobody_waiting(
    ready: Readiness, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, end = threading.Event(), threading.Event()

    def hangs(*_: object, **__: object) -> None:
        inside.set()
        end.wait()

    monkeypatch.setattr(write_probe, "write", hangs)
    first = threading.Thread(target=ready.complaint)
    first.start()
    inside.wait(5)
    assert ready.complaint() is None, "it may be about to come back"
    clock.advance(timedelta(seconds=6))
    assert ready.complaint() == "the store takes no writes"
    end.set()
    first.join(5)


def test_what_could_not_be_committed_makes_readyz_red(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data=tmp_path, gateway_tokens={"prometheus": SecretStr("a-token-of-this-test")})
    client = TestClient(make_app(settings, store, wake=Wake(), alive=lambda: True))
    auth = {"Authorization": "Bearer a-token-of-this-test"}
    assert client.get("/readyz").status_code == 200

    async def full(*_: object, **__: object) -> None:
        raise StoreUnavailable("database or disk is full")

    alert = {"labels": {"alertname": "A"}, "status": "firing", "startsAt": "2026-01-31T09:30:00Z"}
    with monkeypatch.context() as patch:
        patch.setattr(GroupCommit, "commit", full)
        assert client.post("/alerts/alertmanager", content=json.dumps(alert), headers=auth).status_code == 503
    answer = client.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "the store takes no writes\n")
    assert client.post("/alerts/alertmanager", content=json.dumps(alert), headers=auth).status_code == 202
    assert client.get("/readyz").status_code == 200


def test_a_database_without_the_probes_table_is_none_that_can_be_written(store: Store) -> None:
    def renamed(before: str, after: str) -> None:
        with store.write() as tx:
            tx.conn.exec_driver_sql(f"ALTER TABLE {before} RENAME TO {after}")

    write_probe.write(store, "gateway")
    renamed("probes", "gone")
    try:
        with pytest.raises((StoreUnknown, StoreUnavailable), match="probes"):
            write_probe.write(store, "gateway")
    finally:
        renamed("gone", "probes")
