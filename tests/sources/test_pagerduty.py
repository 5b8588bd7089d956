"""PagerDuty's webhooks: what its users and the tools that receive them have met."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.reading import Reading
from paramedic.alerts.severity_words import DEFAULT
from paramedic.sources.pagerduty import EXAMPLE, authentic, read

SECRET = "a-secret-of-this-subscription"


def _read(kind: str = "incident.triggered", event: Any = None, **changes: Any) -> Reading:
    body = json.loads(EXAMPLE)
    body["event"] |= {"event_type": kind, **(event or {})}
    body["event"]["data"] |= changes
    return read({}, json.dumps(body).encode())


def _one(*about: Any, **changes: Any) -> Alert:
    (alert,) = _read(*about, **changes).alerts
    return alert


def _signed(body: bytes, *secrets: str) -> dict[str, str]:
    marks = [f"v1={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}" for secret in secrets]
    return {"x-pagerduty-signature": ",".join(marks)}


def test_one_of_several_signatures_is_enough_while_the_secret_is_replaced() -> None:
    body = EXAMPLE.encode()
    assert authentic(_signed(body, SECRET), body, SECRET)
    assert authentic(_signed(body, "the-new-one", SECRET), body, SECRET)


@pytest.mark.parametrize("headers", [{}, {"x-pagerduty-signature": ""}, {"x-pagerduty-signature": "v1=,v2=\u00e9"}])
def test_without_a_signature_of_the_secret_it_is_nobody_s(headers: dict[str, str]) -> None:
    body = EXAMPLE.encode()
    assert not authentic(headers, body, SECRET)
    assert not authentic(_signed(body, "another"), body, SECRET)
    assert not authentic(_signed(body, SECRET), body + b" ", SECRET)


def test_an_incident_is_one_alert_from_trigger_to_resolution() -> None:
    fired, over = _one(), _one("incident.resolved", {"occurred_at": "2026-01-31T10:30:00Z"}, status="resolved")
    assert (fired.status, over.status) == (Status.FIRING, Status.RESOLVED)
    assert fired.fingerprint == over.fingerprint != _one(id="ANOTHER").fingerprint
    assert over.ends_at == datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
    assert fired.labels["service"] == "tracking-api"


def test_an_acknowledgement_says_who_and_an_automation_s_says_nobody() -> None:
    taken = _one(
        "incident.acknowledged", {"agent": {"summary": "Ada", "type": "user_reference"}}, status="acknowledged"
    )
    assert (taken.status, taken.by) == (Status.ACKNOWLEDGED, "Ada")
    assert _one("incident.acknowledged", status="acknowledged").by is None


def test_what_is_opened_again_began_when_it_was_opened_again() -> None:
    again = _one("incident.reopened", {"occurred_at": "2026-01-31T11:00:00Z"})
    assert again.starts_at == datetime(2026, 1, 31, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    "kind", ["incident.annotated", "incident.responder.added", "incident.delegated", "incident.new_kind"]
)
def test_an_event_about_an_incident_only_repeats_how_it_stands(kind: str) -> None:
    assert _one(kind).status is Status.FIRING
    assert _one(kind, status="resolved").status is Status.RESOLVED
    assert _read(kind, status="acknowledged").alerts == ()


@pytest.mark.parametrize("kind", ["service.updated", "pagey.ping", "", "incident"])
def test_an_event_about_no_incident_is_kept_beside_the_alerts(kind: str) -> None:
    reading = _read(kind)
    assert (reading.alerts, len(reading.asides), reading.bad) == ((), 1, ())


@pytest.mark.parametrize(
    ("priority", "urgency", "severity"),
    [
        ({"summary": "P1"}, "low", Severity.CRITICAL),
        ({"summary": "P4"}, "high", Severity.WARNING),
        (None, "high", Severity.CRITICAL),
        (None, "low", Severity.WARNING),
        ({"summary": "our own"}, "low", Severity.WARNING),
        (None, None, Severity.WARNING),
    ],
)
def test_the_priority_counts_then_the_urgency(priority: Any, urgency: str | None, severity: Severity) -> None:
    assert DEFAULT.judged(_one(priority=priority, urgency=urgency)).severity is severity


def test_several_messages_of_an_old_version_are_read_one_by_one() -> None:
    incident = {
        "id": "P1",
        "incident_number": 1,
        "urgency": "high",
        "title": "old",
        "created_at": "2026-01-31T09:30:00Z",
    }
    messages = [
        {"event": "incident.trigger", "incident": incident},
        {"event": "incident.annotate", "incident": incident},
        {"event": "incident.resolve", "incident": None},
        "x",
    ]
    reading = read({}, json.dumps({"messages": messages}).encode())
    assert [alert.name for alert in reading.alerts] == ["old"]
    assert (len(reading.bad), len(reading.asides)) == (1, 2)
