"""What is held back is visible: by what, until when and why, in a list and in figures."""

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from command_line import paramedic
from databases import Clock
from prometheus_client import CollectorRegistry, generate_latest
from store_states import TARGET, alert

from paramedic.alerts.alert import Alert, Status
from paramedic.alerts.flapping import Flapping
from paramedic.alerts.held_back import HeldBack
from paramedic.alerts.inhibition import Inhibition
from paramedic.alerts.last_word import LastWord
from paramedic.alerts.silence import Silence
from paramedic.catalog.library import Library, read_folder
from paramedic.intake.intake import Intake
from paramedic.intake.triage import MARK, Known, decide
from paramedic.remediation.dependency import Down
from paramedic.remediation.maintenance import Window
from paramedic.serving.store_metrics import StoreMetrics
from paramedic.store import Store, inbox, maintenance

LIBRARY = read_folder(Path(__file__).parents[2] / "runbooks")
WANTED = {"env": "prod", "instance": "web-1:9100", "service": "tracking-api"}
MINUTE = timedelta(minutes=1)


def _cases(now: Any) -> dict[HeldBack, tuple[Alert, Known]]:
    """For each of them an alert that it holds back, and what is known then."""
    fires, known = alert(starts_at=now), Known(now=now)
    window = Window(3, "api", None, now - MINUTE, now + MINUTE, "ada", "a new disk")
    down = Down("db", 7, now - MINUTE)
    over = replace(fires, status=Status.RESOLVED, ends_at=now)
    return {
        HeldBack.SILENCE: (fires, replace(known, silence=Silence(1, ("Down",), now, now + MINUTE, "ada", "we know"))),
        HeldBack.INHIBITED: (fires, replace(known, inhibited=(Inhibition(("HostDown",), ("Down",)), "HostDown"))),
        HeldBack.MAINTENANCE: (fires, replace(known, window=window)),
        HeldBack.DEPENDENCY: (fires, replace(known, down=down)),
        HeldBack.RECOVERING: (fires, replace(known, waited=(7, now))),
        HeldBack.FLAPPING: (fires, replace(known, flaps=Flapping("k", 5, now - MINUTE, now, now + MINUTE))),
        HeldBack.SETTLING: (fires, replace(known, well_at=now)),
        HeldBack.INFORMATION: (replace(fires, informational=True), known),
        HeldBack.OWN_MESSAGE: (alert(**{MARK: "x"}), known),
        HeldBack.STALE: (fires, replace(known, last=LastWord(Status.RESOLVED, now + MINUTE))),
        HeldBack.OVER: (over, known),
        HeldBack.TAKEN: (replace(fires, status=Status.ACKNOWLEDGED), known),
    }


@pytest.mark.parametrize("why", HeldBack)
def test_each_reason_has_one_word(clock: Clock, why: HeldBack) -> None:
    received, known = _cases(clock.now())[why]
    assert decide(received, known).held_by is why


def test_docs_name_each() -> None:
    page = (Path(__file__).parents[2] / "docs" / "triage.md").read_text()
    assert [f"| `{why}` |" for why in HeldBack if f"| `{why}` |" not in page] == []


@pytest.fixture
def held(timed: Store, clock: Clock) -> Counter[HeldBack]:
    """One alert in maintenance, one dropped, one that opened an incident; what was counted."""
    with timed.record() as tx:
        maintenance.add(
            tx,
            service="tracking-api",
            target=TARGET,
            starts_at=tx.now,
            ends_at=tx.now + 60 * MINUTE,
            by="ada",
            reason="a new disk",
        )
    counted: Counter[HeldBack] = Counter()
    waits = alert("TrackingApiMemory", starts_at=clock.now(), **WANTED)
    ended = replace(alert("Gone", status=Status.RESOLVED), ends_at=clock.now())
    inbox.receive(timed, [waits, ended, alert("Another", starts_at=clock.now())], source="x", sender="x")
    Intake(timed, lambda: LIBRARY, held_back=lambda why, count: counted.update({why: count})).work()
    return counted


def _metrics(store: Store) -> str:
    registry = CollectorRegistry()
    registry.register(StoreMetrics(store))
    return generate_latest(registry).decode()


def test_it_is_counted_by_reason_and_no_longer_once_it_is_decided(
    timed: Store, clock: Clock, held: Counter[HeldBack]
) -> None:
    assert held == {HeldBack.MAINTENANCE: 1, HeldBack.OVER: 1}
    assert 'paramedic_held_alerts{reason="maintenance"} 1.0' in _metrics(timed)
    clock.advance(61 * MINUTE)
    Intake(timed, lambda: LIBRARY).work()
    assert "paramedic_held_alerts{" not in _metrics(timed)
    with timed.read() as tx:
        assert [row["alert"]["name"] for row in inbox.listed(tx, held_back=True)] == ["Gone"]


def test_the_list_says_by_what_until_when_and_why(
    timed: Store, tmp_path: Path, held: Counter[HeldBack], monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {
        "PARAMEDIC_DATA": str(tmp_path),
        "PARAMEDIC_STORE_URL": timed.engine.url.render_as_string(hide_password=False),
    }
    shown = paramedic("alert", "list", "--held", env=env)
    for words in ("TrackingApiMemory", "maintenance", "2026-01-31T10:30:00", "a new disk", "Gone", "over", "dropped"):
        assert words in shown
    assert "held now: 1 by maintenance" in shown
    assert "Another" not in shown
    rows = json.loads(paramedic("alert", "list", "--held", "--json", env=env))
    assert {row["held_by"] for row in rows} == {"maintenance", "over"}
    assert "Another" in paramedic("alert", "list", env=env)


def test_a_decision_that_was_undone_is_not_counted(timed: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox.receive(timed, [replace(alert(), status=Status.RESOLVED, ends_at=clock.now())], source="x", sender="x")
    counted: Counter[HeldBack] = Counter()
    intake = Intake(timed, lambda: Library.unusable(()), held_back=lambda why, count: counted.update({why: count}))
    decided = inbox.decided

    def fails_once(*given: Any, **how: Any) -> None:
        decided(*given, **how)
        monkeypatch.setattr(inbox, "decided", decided)
        raise RuntimeError("undone")

    monkeypatch.setattr(inbox, "decided", fails_once)
    intake.work()
    assert counted == {HeldBack.OVER: 1}
