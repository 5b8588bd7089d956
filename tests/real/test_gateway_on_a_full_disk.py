"""A full disk: a 503 for what could not be written, and every 202 is there when there is room again."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from databases import Clock
from incident_states import on_call
from mail_server import Postbox, text_of
from pydantic import SecretStr
from starlette.testclient import TestClient
from watchdog_harness import Outside

from paramedic.gateway.app import make_app
from paramedic.gateway.readiness import Readiness
from paramedic.intake.intake import Wake
from paramedic.paging import Pager
from paramedic.settings import Settings
from paramedic.store import Store
from paramedic.store.migrations import migrate
from paramedic.store.tables import inbox
from paramedic.watchdog.prefect_status import PrefectStatus
from paramedic.watchdog.watchdog import Watchdog

pytestmark = [pytest.mark.real]

TOKEN = "a-token-of-this-test"


def test_a_full_disk_is_503_and_every_202_is_there_afterwards(small_disk: Path, fill: Callable[[], Path]) -> None:
    settings = Settings(data=small_disk, gateway_tokens={"prometheus": SecretStr(TOKEN)})
    migrate(settings.store())
    store = Store(settings.store())
    client = TestClient(make_app(settings, store, wake=Wake(), alive=lambda: True))
    labels = {"alertname": "A", "text": "x" * 10_000}
    alert = {"labels": labels, "status": "firing", "startsAt": "2026-01-31T09:30:00Z"}
    promised: list[str] = []

    def post() -> int:
        answer = client.post(
            "/alerts/alertmanager",
            content=json.dumps({"alerts": [alert]}),
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        promised.extend(answer.json().get("receipts", []))
        return answer.status_code

    assert post() == 202
    ballast = fill()
    answers = [post() for _ in range(60)]
    assert set(answers) <= {202, 503}
    assert answers[-1] == 503
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    ballast.unlink()
    assert post() == 202
    assert client.get("/readyz").status_code == 200
    store.close()
    with Store(settings.store()).read() as tx:
        assert [row.receipt for row in tx.conn.execute(inbox.select().order_by(inbox.c.position))] == promised


def test_a_full_disk_is_seen_where_no_alert_comes_and_told_by_the_way_that_needs_no_store(
    small_disk: Path, fill: Callable[[], Path], postbox: Postbox
) -> None:
    outside, clock = Outside(), Clock()
    settings = Settings(
        data=small_disk, port=outside.port, smtp_url=SecretStr(postbox.url), mail_from="paramedic@example.org"
    )
    migrate(settings.store())
    store, seen = Store(settings.store(), now=clock.now), Store(settings.store(), now=clock.now)
    pager = Pager(store, settings, on_call(), steady=clock.steady)
    watchdog = Watchdog(settings, store, seen, pager, PrefectStatus(settings), steady=clock.steady)
    watchdog.look()
    ready = Readiness(store, lambda: True, steady=clock.steady)
    assert ready.complaint() is None
    ballast = fill()
    for _ in range(3):
        clock.advance(timedelta(seconds=61))
        watchdog.look()
    assert ready.complaint() == "the store takes no writes"
    assert postbox.subjects == ["[Paramedic] the store does not answer"]
    assert "full" in text_of(postbox.letters[0])
    ballast.unlink()
    clock.advance(timedelta(seconds=6))
    watchdog.look()
    watchdog.look()
    assert ready.complaint() is None
    assert "[Paramedic] the store answers again" in postbox.subjects
    store.close()
    outside.close()
