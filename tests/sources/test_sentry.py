"""Sentry's webhooks: what its users and the tools that receive them have met."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from paramedic.alerts.alert import Severity, Status
from paramedic.alerts.reading import Reading
from paramedic.alerts.severity_words import DEFAULT
from paramedic.sources.sentry import EXAMPLE, authentic, read


def _metric(action: str, **changes: Any) -> Reading:
    body = json.loads(EXAMPLE)
    body["data"]["metric_alert"] |= changes
    return read({}, json.dumps(body | {"action": action}).encode())


def _issue(action: str, actor: str = "application", **changes: Any) -> Reading:
    issue = {"id": "7", "title": "KeyError: 'eta'", "level": "error", "project": {"slug": "tracking-api"}, **changes}
    body = {"action": action, "data": {"issue": issue}, "actor": {"type": actor, "name": "Ada"}}
    return read({}, json.dumps(body).encode())


def test_it_is_signed_by_the_client_secret() -> None:
    body = EXAMPLE.encode()
    mark = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    assert authentic({"sentry-hook-signature": mark}, body, "secret")
    for headers in (
        {},
        {"sentry-hook-signature": ""},
        {"sentry-hook-signature": mark[:-1]},
        {"sentry-hook-signature": "\u00e9"},
    ):
        assert not authentic(headers, body, "secret")
    assert not authentic({"sentry-hook-signature": mark}, body, "another")


@pytest.mark.parametrize(
    ("action", "status", "severity"),
    [
        ("critical", Status.FIRING, Severity.CRITICAL),
        ("warning", Status.FIRING, Severity.WARNING),
        ("resolved", Status.RESOLVED, Severity.WARNING),
    ],
)
def test_a_metric_alert_is_one_by_its_rule(action: str, status: Status, severity: Severity) -> None:
    (alert,) = _metric(action, id="8", date_closed="2026-01-31T10:30:00Z").alerts
    judged = DEFAULT.judged(alert)
    assert (judged.status, judged.severity, judged.name) == (status, severity, "Errors of tracking-api")
    assert alert.fingerprint == _metric("critical").alerts[0].fingerprint
    assert alert.ends_at == (datetime(2026, 1, 31, 10, 30, tzinfo=UTC) if status is Status.RESOLVED else None)
    assert alert.labels["service"] == "tracking-api"


@pytest.mark.parametrize(
    ("action", "actor", "status"),
    [
        ("created", "application", Status.FIRING),
        ("unresolved", "application", Status.FIRING),
        ("resolved", "user", Status.RESOLVED),
        ("archived", "user", Status.RESOLVED),
        ("assigned", "user", Status.ACKNOWLEDGED),
    ],
)
def test_an_issue_is_one_by_its_id(action: str, actor: str, status: Status) -> None:
    (alert,) = _issue(action, actor).alerts
    assert (alert.status, alert.fingerprint) == (status, _issue("created").alerts[0].fingerprint)
    assert alert.by == ("Ada" if status is Status.ACKNOWLEDGED else None)


def test_what_sentry_assigns_by_a_rule_of_its_own_is_nobody_s_acknowledgement() -> None:
    assert _issue("assigned").alerts == ()


def test_an_issue_alert_is_about_its_issue() -> None:
    event = {"issue_id": "7", "title": "KeyError: 'eta'", "level": "error", "tags": [["env", "prod"], "x", ["a", None]]}
    alert = read(
        {}, json.dumps({"action": "triggered", "data": {"event": event, "triggered_rule": "r"}}).encode()
    ).alerts[0]
    assert (alert.fingerprint, alert.labels["env"]) == (_issue("created").alerts[0].fingerprint, "prod")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"action": "created", "data": {"comment": {}}},
        {"action": "deleted", "data": {"installation": {"uuid": "x"}}},
    ],
)
def test_what_is_about_no_alert_is_kept_beside_them(body: Any) -> None:
    reading = read({}, json.dumps(body).encode())
    assert (reading.alerts, len(reading.asides)) == ((), 1)
