"""A target's releases are looked at beside its evidence: what came just before is told; what cannot be seen holds up nothing."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from failing_shop import Shop

from paramedic.change import release_look
from paramedic.doors import reading
from paramedic.errors import TemporaryError
from paramedic.store import incident_summary, incidents
from tasks import diagnose
from tasks.current_run import working_on


def deployed_before(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What its messages say of that, once its evidence was gathered."""
    monkeypatch.setattr(diagnose, "show", lambda *_, **__: None)
    with working_on(shop.run):
        diagnose.gather_evidence.fn(shop.run.incident, shop.run.runbook)  # type: ignore[attr-defined]
    with shop.store.read() as tx:
        return incident_summary.summary(tx, incidents.get(tx, shop.run.incident.number)).deployed_before


def test_what_the_folder_shows_is_told(shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch) -> None:
    one = shop()
    with one.store.read() as tx:
        alerts = incident_summary.summary(tx, one.run.incident).alerts
    began = min([one.run.incident.opened_at, *(alert["starts_at"] for alert in alerts)])
    one.folder.say(what="deployed", release="v7", at=(began - timedelta(minutes=4)).isoformat())
    one.folder.say(what="deployed", release="v6", at=(began - timedelta(hours=3)).isoformat())
    assert deployed_before(one, monkeypatch) == [f"4m before it began: v7 on {one.run.target.id} (seen by Paramedic)"]


def test_why_they_cannot_be_seen_is_told(shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: Any) -> Any:
        raise TemporaryError("web-1 does not answer, with password=hunter2hunter2")

    monkeypatch.setattr(reading, "releases", away)
    [line] = deployed_before(shop(), monkeypatch)
    assert line.startswith("not seen: web-1 does not answer")
    assert "hunter2" not in line


def test_a_look_that_hangs_keeps_nobody_waiting(shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_look, "_GRACE_SECONDS", 0.05)
    let_go = threading.Event()
    monkeypatch.setattr(reading, "releases", lambda _: let_go.wait(60))
    began = time.monotonic()
    assert deployed_before(shop(), monkeypatch) == ["not seen: the look had no answer in time"]
    assert time.monotonic() - began < 20
    let_go.set()
