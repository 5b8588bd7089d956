"""Of many alerts at once the critical ones are decided first, and each gets one decision."""

import itertools
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import Clock
from sqlalchemy import event
from store_states import inbox_rows

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.catalog.library import Library, read_folder
from paramedic.intake import routing
from paramedic.intake.intake import Intake, Wake
from paramedic.store import (
    Store,
    fingerprints,
    inbox,
    incident_alerts,
    incidents,
)
from paramedic.store.tables import inbox as table
from paramedic.store.tables import messages

LIBRARY = read_folder(Path(__file__).parents[2] / "runbooks")


def _took_in(store: Store, *arrivals: tuple[str, Severity], **labels: str) -> None:
    """So many alerts, each of a target of its own."""
    began = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    alerts = []
    for name, severity in arrivals:
        given = {"alertname": name, "instance": name} | labels
        alerts.append(
            Alert("alertmanager", name, severity, Status.FIRING, began, fingerprint("alertmanager", given), given)
        )
    inbox.receive(store, alerts, source="alertmanager", sender="test")


def test_a_critical_alert_is_decided_before_five_thousand_warnings_and_its_decision_waits_for_none_of_them(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _took_in(store, *((f"W{number}", Severity.WARNING) for number in range(3000)))
    _took_in(store, ("Critical", Severity.CRITICAL))
    _took_in(store, *((f"V{number}", Severity.WARNING) for number in range(2021)))
    rang: list[int] = []
    intake = Intake(store, lambda: LIBRARY, decided=lambda: rang.append(len(_decisions(store))))
    assert intake.decide_some() == 1
    assert _decisions(store) == ["Critical"]
    assert rang == [1], "dispatch hears of it before the next decision"
    _took_in(store, ("Critical too", Severity.CRITICAL))
    assert intake.decide_some() == 1
    monkeypatch.setattr("paramedic.intake.intake._LONGEST_SECONDS", 0)
    assert intake.decide_some() == 1
    assert _decisions(store) == ["Critical", "Critical too", "W0"]


class _Waits(Wake):
    """Notes what triage waits for, and waits for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def wait(self, seconds: float) -> bool:
        self.waits.append(f"any, {seconds:.2f} s")
        return False

    def wait_critical(self, seconds: float) -> bool:
        self.waits.append(f"critical, {seconds:.2f} s")
        return False


def test_while_alerts_come_in_triage_leaves_the_store_to_their_senders(store: Store) -> None:
    """As a script: two batches while alerts come in, one after they stopped, then nothing waits."""
    stop, wake = threading.Event(), _Waits()
    came = iter([True, True, False])

    class Scripted(Intake):
        def decide_some(self, *, come: bool = False) -> int:
            try:
                if next(came):
                    wake.set()
            except StopIteration:
                stop.set()
                return 0
            return 1

    Scripted(store, lambda: LIBRARY).run(stop, wake)
    assert wake.waits == ["critical, 0.16 s", "critical, 0.16 s", "any, 1.00 s"]


@pytest.mark.parametrize("come", [True, False])
def test_after_another_gateway_was_first_the_next_alert_is_decided_on(
    store: Store, monkeypatch: pytest.MonkeyPatch, come: bool
) -> None:
    monkeypatch.setattr(inbox, "any_waiting", lambda _: True)  # it waited when this one looked
    intake = Intake(store, lambda: LIBRARY)
    assert intake.decide_some(come=come) == 0
    _took_in(store, ("Next", Severity.WARNING))
    assert intake.decide_some(come=come) == 1


def test_only_a_critical_alert_ends_that_pause() -> None:
    wake = Wake()
    wake.set()
    assert not wake.wait_critical(0)
    wake.set(critical=True)
    assert wake.wait_critical(60)
    assert not wake.wait_critical(0), "once"
    assert wake.cleared()
    assert not wake.cleared()


def _decisions(store: Store) -> list[str]:
    """What was decided, in its order."""
    with store.read() as tx:
        rows = tx.conn.execute(table.select().where(table.c.state == "triaged").order_by(table.c.incident))
        return [row.alert["name"] for row in rows]


def test_many_decisions_are_one_transaction(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paramedic.intake.intake._LONGEST_SECONDS", 60)
    _took_in(store, *((f"W{number}", Severity.WARNING) for number in range(100)))
    written: list[int] = []
    event.listen(
        store.engine, "commit", lambda conn: conn.get_execution_options().get("paramedic_writes") and written.append(1)
    )
    Intake(store, lambda: LIBRARY).work()
    assert len(_decisions(store)) == 100
    assert sum(written) == 1


def test_one_that_cannot_be_decided_costs_none_of_its_batch_its_decision(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _took_in(store, ("Before", Severity.WARNING), ("Poison", Severity.WARNING), ("After", Severity.WARNING))
    place = routing.place

    def poisoned(alert: Alert, library: Library) -> routing.Place:
        if alert.name == "Poison":
            raise RuntimeError("a bug")
        return place(alert, library)

    monkeypatch.setattr(routing, "place", poisoned)
    Intake(store, lambda: LIBRARY).work()
    assert [(row.alert["name"], row.verdict) for row in inbox_rows(store)] == [
        ("Before", "open"),
        ("Poison", "given up"),
        ("After", "open"),
    ]
    with store.read() as tx:
        assert len(incidents.listed(tx)) == 2
        assert [row.kind for row in tx.conn.execute(messages.select())].count("trouble") == 1


def test_what_a_batch_had_not_committed_is_decided_afterwards_and_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a kill leaves it: the connection goes away with the transaction open."""
    _took_in(store, *((f"W{number}", Severity.WARNING) for number in range(20)))
    monkeypatch.setattr("paramedic.intake.intake._LONGEST_SECONDS", 60)
    decided = inbox.decided

    def dies(*given: Any, **named: Any) -> None:
        if given[1].alert.name == "W10":
            raise KeyboardInterrupt  # nothing of ours catches it
        decided(*given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(inbox, "decided", dies)
        with pytest.raises(KeyboardInterrupt):
            Intake(store, lambda: LIBRARY).decide_some()
    assert _decisions(store) == []
    Intake(store, lambda: LIBRARY).work()
    assert _decisions(store) == [f"W{number}" for number in range(20)]
    with store.read() as tx:
        assert len(incidents.listed(tx, limit=100)) == 20


@pytest.mark.parametrize("severities", list(itertools.product(Severity, repeat=3)))
def test_whatever_severities_one_alert_went_through_it_ends_as_its_last_word_says(
    store: Store, clock: Clock, severities: tuple[Severity, ...]
) -> None:
    """A check's alert changes its severity under one fingerprint; the worst first must not leave it firing for ever."""
    began = clock.now() - timedelta(minutes=5)
    labels = {"alertname": "TrackingApiMemory", "env": "prod", "instance": "web-1:9100"}
    statuses = (Status.FIRING, Status.FIRING, Status.RESOLVED)
    alerts = [
        Alert("checks", "TrackingApiMemory", severity, status, began, "f", labels)
        for severity, status in zip(severities, statuses, strict=True)
    ]
    inbox.receive(store, alerts, source="checks", sender="checks")
    Intake(store, lambda: LIBRARY).work()
    with store.read() as tx:
        assert [
            alert["status"] for number in incidents.listed(tx) for alert in incident_alerts.of(tx, number.number)
        ] in (
            [],
            ["resolved"],
        )
        word = fingerprints.last_word(tx, "f")
        assert word is not None
        assert word.status is Status.RESOLVED


def test_it_stops_when_told(store: Store) -> None:
    stop, wake = threading.Event(), Wake()
    thread = threading.Thread(target=Intake(store, lambda: LIBRARY).run, args=(stop, wake))
    thread.start()
    stop.set()
    wake.set()
    thread.join(10)
    assert not thread.is_alive()
