"""The webhook of Opsgenie, and of Jira Service Management after it: what their users have met."""

import json
from types import ModuleType
from typing import Any

import pytest

from paramedic.alerts.alert import Severity, Status
from paramedic.alerts.reading import BadPayload, Reading
from paramedic.alerts.severity_words import DEFAULT
from paramedic.sources import jira_service_management, opsgenie

BOTH = pytest.mark.parametrize("source", [opsgenie, jira_service_management], ids=["opsgenie", "jira"])


def _read(source: ModuleType, action: str = "Create", **changes: Any) -> Reading:
    body = json.loads(source.EXAMPLE)
    body["alert"] |= changes
    reading: Reading = source.read({}, json.dumps(body | {"action": action}).encode())
    return reading


@BOTH
@pytest.mark.parametrize(
    ("action", "status"),
    [
        ("Create", Status.FIRING),
        ("Acknowledge", Status.ACKNOWLEDGED),
        ("UnAcknowledge", Status.FIRING),
        ("Close", Status.RESOLVED),
        ("Delete", Status.RESOLVED),
        ("EscalateNext", Status.FIRING),
        ("AssignOwnership", Status.FIRING),
    ],
)
def test_an_alert_is_one_from_create_to_close(source: ModuleType, action: str, status: Status) -> None:
    (alert,) = _read(source, action, username="ada@example.com").alerts
    assert (alert.status, alert.fingerprint) == (status, _read(source).alerts[0].fingerprint)
    assert alert.by == ("ada@example.com" if status is Status.ACKNOWLEDGED else None)


@BOTH
@pytest.mark.parametrize("action", ["AddNote", "Add Note", "AddTags", "CustomAction", "Snooze"])
def test_a_note_says_nothing_of_whether_it_fires(source: ModuleType, action: str) -> None:
    reading = _read(source, action)
    assert (reading.alerts, len(reading.asides)) == ((), 1)


@BOTH
def test_the_same_alias_after_a_close_is_another_alert(source: ModuleType) -> None:
    assert _read(source, alertId="another").alerts[0].fingerprint != _read(source).alerts[0].fingerprint


@BOTH
@pytest.mark.parametrize(
    ("priority", "severity"),
    [
        ("P1", Severity.CRITICAL),
        (1, Severity.CRITICAL),
        ("P2", Severity.WARNING),
        (3, Severity.WARNING),
        (None, Severity.WARNING),
    ],
)
def test_the_priority_is_a_word_or_a_number(source: ModuleType, priority: Any, severity: Severity) -> None:
    assert DEFAULT.judged(_read(source, priority=priority).alerts[0]).severity is severity


@BOTH
def test_tags_and_details_are_labels(source: ModuleType) -> None:
    labels = _read(source, details={"runbook": "x"}).alerts[0].labels
    assert (labels["service"], labels["env"], labels["instance"], labels["runbook"]) == (
        "tracking-api",
        "prod",
        "web-1",
        "x",
    )


@BOTH
def test_a_body_without_an_alert_is_refused(source: ModuleType) -> None:
    with pytest.raises(BadPayload, match="alertId"):
        source.read({}, b'{"action": "Create", "alert": {}}')
