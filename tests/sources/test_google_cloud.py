"""Google Cloud Monitoring's webhooks: what its users and the tools that receive them have met."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.reading import BadPayload
from paramedic.alerts.severity_words import DEFAULT
from paramedic.sources.google_cloud import EXAMPLE, read


def _alert(**changes: Any) -> Alert:
    body = json.loads(EXAMPLE)
    body["incident"] |= changes
    return DEFAULT.judged(read({}, json.dumps(body).encode()).alerts[0])


def test_an_incident_is_one_alert_from_open_to_closed() -> None:
    over = _alert(state="closed", ended_at=1769855400)
    assert (over.status, over.fingerprint) == (Status.RESOLVED, _alert().fingerprint)
    assert over.ends_at == datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
    assert (_alert(state="OPEN").status, _alert(state="acknowledged").status) == (Status.FIRING, Status.ACKNOWLEDGED)


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({"severity": "Error"}, Severity.CRITICAL),
        ({"severity": "Warning"}, Severity.WARNING),
        ({"severity": "No severity"}, Severity.WARNING),
        ({"severity": None, "metadata": {"system_labels": {"severity": "critical"}}}, Severity.CRITICAL),
        ({"severity": None, "policy_user_labels": {"severity": "critical"}}, Severity.CRITICAL),
        ({"severity": None}, Severity.WARNING),
    ],
)
def test_the_policy_s_severity_counts_then_its_labels(changes: dict[str, Any], severity: Severity) -> None:
    assert _alert(**changes).severity is severity


def test_labels_come_from_resource_metric_and_policy() -> None:
    labels = _alert().labels
    assert (labels["service"], labels["env"], labels["instance"], labels["zone"]) == (
        "tracking-api",
        "prod",
        "web-1",
        "europe-west1-c",
    )
    assert _alert(resource_display_name=None, resource_name="web-9").labels["instance"] == "web-9"


def test_what_pubsub_pushes_is_the_same_body() -> None:
    push = {"message": {"data": base64.b64encode(EXAMPLE.encode()).decode(), "messageId": "1"}, "subscription": "s"}
    assert read({}, json.dumps(push).encode()).alerts == read({}, EXAMPLE.encode()).alerts
    with pytest.raises(BadPayload, match="base64"):
        read({}, b'{"message": {"data": "???"}}')


def test_a_test_of_the_channel_is_kept_beside_the_alerts() -> None:
    reading = read({}, b'{"version": "test", "incident": null}')
    assert (reading.alerts, len(reading.asides)) == ((), 1)
    with pytest.raises(BadPayload, match="an incident of Google"):
        read({}, b'{"text": "hello"}')
