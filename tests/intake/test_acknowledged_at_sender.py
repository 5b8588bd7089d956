"""A person at the sender takes an alert: the escalation pauses where people have it already, and nothing else changes."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import Clock
from store_states import inbox_rows

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.catalog.library import read_folder
from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.intake.intake import Intake
from paramedic.store import Store, inbox, incidents, lifecycle, trail
from paramedic.store.tables import messages

LIBRARY = read_folder(Path(__file__).parents[2] / "runbooks")
WANTED = {"alertname": "TrackingApiMemory", "env": "prod", "instance": "web-1:9100"}


@pytest.fixture
def say(store: Store, clock: Clock) -> Callable[..., Any]:
    """Take a word of one vendor's alert in, and decide on it; the inbox's newest row."""

    def taken(status: Status, labels: dict[str, str], known_by: str = "P1ABC", **about: Any) -> Any:
        alert = Alert(
            "pagerduty", labels.get("alertname", "x"), Severity.CRITICAL, status, clock.now(), known_by, labels, **about
        )
        inbox.receive(store, [alert], source="pagerduty", sender="test")
        Intake(store, lambda: LIBRARY).work()
        return inbox_rows(store)[-1]

    return taken


def _incident(store: Store) -> Any:
    with store.read() as tx:
        return incidents.get(tx, 1)


def _pages(store: Store) -> list[str]:
    with store.read() as tx:
        return [row.kind for row in tx.conn.execute(messages.select().where(messages.c.state == "due"))]


def test_where_people_have_it_the_escalation_pauses(store: Store, say: Callable[..., Any]) -> None:
    say(Status.FIRING, {"alertname": "Elsewhere", "instance": "db-9"})
    assert _pages(store) == ["rung"]
    row = say(Status.ACKNOWLEDGED, {}, by="Ada")
    assert (row.verdict, row.incident) == ("acknowledge", 1)
    assert (_incident(store).state, _incident(store).acknowledged_by) == (State.ACKNOWLEDGED, "Ada (pagerduty)")
    assert _pages(store) == []


def test_while_a_playbook_works_it_works_on_and_the_timeline_says_who_has_it(
    store: Store, say: Callable[..., Any]
) -> None:
    say(Status.FIRING, WANTED)
    row = say(Status.ACKNOWLEDGED, WANTED)
    assert (row.verdict, row.incident) == ("note", 1)
    assert "somebody has acknowledged it at its sender (pagerduty); INC-1 is open" in row.reason
    assert _incident(store).state is State.OPEN
    with store.read() as tx:
        assert [entry.what for entry in trail.entries(tx, incident=1)].count("incident.note") == 1


@pytest.mark.parametrize("known_by", ["P1ABC", "another"])
def test_of_what_is_over_or_was_never_told_nothing_opens(store: Store, say: Callable[..., Any], known_by: str) -> None:
    say(Status.FIRING, {"alertname": "Elsewhere", "instance": "db-9"})
    if known_by == "P1ABC":
        with store.record() as tx:
            lifecycle.resolve(tx, 1, Outcome(Ending.HANDED_OVER, "a test"), actor="person:ada")
    row = say(Status.ACKNOWLEDGED, {"alertname": "Elsewhere", "instance": "db-9"}, known_by=known_by)
    assert (row.verdict, row.incident) == ("drop", None)
    with store.read() as tx:
        assert len(incidents.listed(tx)) == 1


def test_it_is_no_last_word_so_that_the_next_one_counts(store: Store, clock: Clock, say: Callable[..., Any]) -> None:
    say(Status.FIRING, WANTED)
    clock.advance(timedelta(minutes=1))
    say(Status.ACKNOWLEDGED, {})
    clock.advance(timedelta(minutes=1))
    assert say(Status.RESOLVED, {}, ends_at=clock.now()).verdict == "mark_resolved"


def test_an_end_that_names_less_than_the_alert_did_finds_its_incident(store: Store, say: Callable[..., Any]) -> None:
    say(Status.FIRING, WANTED)
    row = say(Status.RESOLVED, {})
    assert (row.verdict, row.incident) == ("mark_resolved", 1)
