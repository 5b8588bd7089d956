"""Azure Monitor's webhooks: what its users and the tools that receive them have met."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.reading import BadPayload, Reading
from paramedic.alerts.severity_words import DEFAULT
from paramedic.sources.azure_monitor import EXAMPLE, read


def _read(**changes: Any) -> Reading:
    body = json.loads(EXAMPLE)
    body["data"]["essentials"] |= changes
    return read({}, json.dumps(body).encode())


def _alert(**changes: Any) -> Alert:
    return DEFAULT.judged(_read(**changes).alerts[0])


def _old(status: str, **context: Any) -> Alert:
    known = {
        "name": "slow",
        "id": "/rules/slow",
        "resourceName": "web-1",
        "timestamp": "2026-01-31T09:30:00Z",
        **context,
    }
    return read({}, json.dumps({"status": status, "context": known}).encode()).alerts[0]


def test_an_alert_is_one_from_fired_to_resolved() -> None:
    over = _alert(monitorCondition="Resolved", resolvedDateTime="2026-01-31T10:30:00.1234567Z")
    assert (over.status, over.fingerprint) == (Status.RESOLVED, _alert().fingerprint)
    assert over.ends_at == datetime(2026, 1, 31, 10, 30, 0, 123456, tzinfo=UTC)
    assert _alert(alertId="another").fingerprint != over.fingerprint


@pytest.mark.parametrize(
    ("word", "severity", "informational"),
    [
        ("Sev0", Severity.CRITICAL, False),
        ("Sev2", Severity.WARNING, False),
        ("Sev4", Severity.WARNING, True),
        (None, Severity.WARNING, False),
    ],
)
def test_its_severity_counts_down(word: str | None, severity: Severity, *, informational: bool) -> None:
    assert (_alert(severity=word).severity, _alert(severity=word).informational) == (severity, informational)


def test_its_properties_are_labels_and_its_one_resource_the_instance() -> None:
    labels = _alert().labels
    assert (labels["service"], labels["instance"], labels["metric"]) == (
        "tracking-api",
        "tracking-api",
        "HttpResponseTime",
    )
    assert "instance" not in _alert(configurationItems=["web-1", "web-2"]).labels
    assert _alert(configurationItems=[]).labels["instance"] == "tracking-api"


@pytest.mark.parametrize("service", ["ServiceHealth", "Resource Health", "Activity Log - Administrative"])
def test_a_health_event_is_no_alert(service: str) -> None:
    reading = _read(monitoringService=service)
    assert (reading.alerts, len(reading.asides)) == ((), 1)


def test_a_classic_alert_is_one_by_its_rule_and_resource() -> None:
    fired, over = _old("Activated"), _old("Deactivated", timestamp="2026-01-31T10:30:00Z")
    assert (fired.status, over.status, fired.fingerprint) == (Status.FIRING, Status.RESOLVED, over.fingerprint)
    assert _old("Activated", resourceName="web-2").fingerprint != fired.fingerprint
    assert over.ends_at == datetime(2026, 1, 31, 10, 30, tzinfo=UTC)


def test_an_activity_is_no_alert_and_anything_else_is_refused() -> None:
    reading = read(
        {},
        b'{"schemaId": "Microsoft.Insights/activityLogs", "data": {"status": "Activated", "context": {"activityLog": {"x": 1}}}}',
    )
    assert (reading.alerts, len(reading.asides)) == ((), 1)
    with pytest.raises(BadPayload, match="common alert schema"):
        read({}, b'{"data": {}}')
