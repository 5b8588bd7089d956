"""Statuspage's webhook to subscribers: other people's outages."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.reading import BadPayload, Reading
from paramedic.alerts.severity_words import DEFAULT
from paramedic.sources.statuspage import EXAMPLE, read


def _read(**changes: Any) -> Reading:
    body = json.loads(EXAMPLE)
    body["incident"] |= changes
    return read({}, json.dumps(body).encode())


def _component(status: str, **changes: Any) -> Reading:
    body = {
        "page": {"id": "p"},
        "component": {"id": "c", "name": "Maps", "status": status},
        "component_update": {"created_at": "2026-01-31T09:30:00Z", "new_status": status},
        **changes,
    }
    return read({}, json.dumps(body).encode())


def _judged(reading: Reading) -> Alert:
    return DEFAULT.judged(reading.alerts[0])


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("investigating", Status.FIRING),
        ("monitoring", Status.FIRING),
        ("resolved", Status.RESOLVED),
        ("postmortem", Status.RESOLVED),
    ],
)
def test_an_incident_is_one_alert_until_it_is_resolved(word: str, status: Status) -> None:
    alert = _judged(_read(status=word, resolved_at="2026-01-31T10:30:00Z"))
    assert (alert.status, alert.fingerprint) == (status, _judged(_read()).fingerprint)
    assert alert.ends_at == (datetime(2026, 1, 31, 10, 30, tzinfo=UTC) if status is Status.RESOLVED else None)


@pytest.mark.parametrize("word", ["scheduled", "in_progress", "verifying", "completed"])
def test_planned_maintenance_is_no_alert(word: str) -> None:
    reading = _read(status=word)
    assert (reading.alerts, len(reading.asides)) == ((), 1)
    assert _component("under_maintenance").alerts == ()


def test_the_impact_says_how_bad_it_is_and_no_impact_is_a_warning() -> None:
    found = [_judged(_read(impact=word)) for word in ("critical", "major", "minor", "none", None)]
    assert [alert.severity for alert in found] == [Severity.CRITICAL] * 2 + [Severity.WARNING] * 3
    assert not any(alert.informational for alert in found)


def test_a_component_is_one_alert_until_it_is_operational() -> None:
    down, up = _judged(_component("major_outage")), _judged(_component("operational"))
    assert (down.status, down.severity, up.status) == (Status.FIRING, Severity.CRITICAL, Status.RESOLVED)
    assert down.fingerprint == up.fingerprint
    assert down.annotations["summary"] == "Maps is major outage"


def test_anything_else_is_refused() -> None:
    with pytest.raises(BadPayload, match="incident or component"):
        read({}, b'{"page": {"id": "p"}}')
