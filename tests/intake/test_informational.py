"""An alert for information opens nothing, pages nobody, ends nothing, and is kept with its reason."""

from pathlib import Path
from typing import Any

import pytest
from databases import Clock
from sqlalchemy import select
from store_states import inbox_rows

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.alerts.severity_words import DEFAULT
from paramedic.catalog.library import read_folder
from paramedic.intake.dry_run import rehearse
from paramedic.intake.intake import Intake
from paramedic.store import Store, inbox, incident_alerts, incidents
from paramedic.store.tables import messages

LIBRARY = read_folder(Path(__file__).parents[2] / "runbooks")
WANTED = "TrackingApiMemory"  # by a runbook; nobody wants the other one


def alert(clock: Clock, name: str, word: str, status: Status = Status.FIRING) -> Alert:
    labels = {"alertname": name, "env": "prod", "instance": "web-1:9100", "severity": word}
    known_by = fingerprint("alertmanager", labels)
    return DEFAULT.judged(Alert("alertmanager", name, Severity.WARNING, status, clock.now(), known_by, labels))


def taken(store: Store, received: Alert) -> Any:
    inbox.receive(store, [received], source="alertmanager", sender="test")
    Intake(store, lambda: LIBRARY).work()
    return inbox_rows(store)[-1]


def queued_messages(store: Store) -> int:
    with store.read() as tx:
        return len(tx.conn.execute(select(messages.c.id)).all())


@pytest.mark.parametrize("name", [WANTED, "SomethingElse"])
def test_it_opens_nothing_and_pages_nobody_and_is_kept(store: Store, clock: Clock, name: str) -> None:
    for status in Status:
        row = taken(store, alert(clock, name, "none", status))
        assert (row.verdict, row.incident) == ("drop", None)
        assert row.reason == "its severity 'none' is for information: it pages nobody"
    with store.read() as tx:
        assert incidents.live(tx, "tracking", "web-1/tracking-api") is None
    assert queued_messages(store) == 0


def test_it_joins_no_incident_and_its_end_ends_none(store: Store, clock: Clock) -> None:
    opened = taken(store, alert(clock, WANTED, "critical"))
    assert opened.verdict == "open"
    before = queued_messages(store)
    for status in Status:
        assert taken(store, alert(clock, WANTED, "info", status)).verdict == "drop"
    assert queued_messages(store) == before
    with store.read() as tx:
        assert incidents.get(tx, opened.incident).severity is Severity.CRITICAL
        assert len(incident_alerts.of(tx, opened.incident)) == 1


def test_an_unknown_word_is_told_in_the_reason(store: Store, clock: Clock) -> None:
    row = taken(store, alert(clock, WANTED, "hoch"))
    assert row.verdict == "open"
    assert row.reason.endswith("labels.severity: 'hoch' is not in the table of severities, counted as critical")


def test_a_dry_run_says_that_nothing_would_begin(clock: Clock) -> None:
    result = rehearse(alert(clock, WANTED, "ok"), LIBRARY.runbooks["tracking-api-memory"], LIBRARY, None)
    assert not result.acts
    assert result.lines == ("its severity is for information: it would open nothing and page nobody",)
