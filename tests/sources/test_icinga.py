"""Icinga's and Nagios's notifications: what their users and the tools that receive them have met."""

import json
from typing import Any

import pytest

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.reading import BadPayload, Reading
from paramedic.alerts.severity_words import DEFAULT
from paramedic.sources.icinga import EXAMPLE, read


def _read(**changes: Any) -> Reading:
    return read({}, json.dumps({**json.loads(EXAMPLE), **changes}).encode())


def _alert(**changes: Any) -> Alert:
    return DEFAULT.judged(_read(**changes).alerts[0])


@pytest.mark.parametrize(
    ("kind", "state", "status", "severity"),
    [
        ("PROBLEM", "CRITICAL", Status.FIRING, Severity.CRITICAL),
        ("Problem", "Warning", Status.FIRING, Severity.WARNING),
        ("PROBLEM", "UNKNOWN", Status.FIRING, Severity.WARNING),
        ("PROBLEM", "2", Status.FIRING, Severity.CRITICAL),
        ("RECOVERY", "OK", Status.RESOLVED, Severity.WARNING),
        ("ACKNOWLEDGEMENT", "CRITICAL", Status.ACKNOWLEDGED, Severity.CRITICAL),
        ("CUSTOM", "OK", Status.RESOLVED, Severity.WARNING),
        ("", "OK", Status.RESOLVED, Severity.WARNING),
        ("", "CRITICAL", Status.FIRING, Severity.CRITICAL),
    ],
)
def test_a_service_of_a_host_is_one_alert(kind: str, state: str, status: Status, severity: Severity) -> None:
    alert = _alert(notification_type=kind, state=state, author="Ada")
    assert (alert.status, alert.severity, alert.fingerprint) == (status, severity, _alert().fingerprint)
    assert alert.by == ("Ada" if status is Status.ACKNOWLEDGED else None)


def test_a_host_is_an_alert_of_its_own() -> None:
    down = _alert(service="", state="DOWN")
    assert (down.name, down.severity, down.labels["host"]) == ("Host", Severity.CRITICAL, "web-1")
    assert down.fingerprint != _alert().fingerprint
    assert _alert(service="$service.name$", state="1").severity is Severity.CRITICAL  # of a host 1 is down


@pytest.mark.parametrize("kind", ["DOWNTIMESTART", "FLAPPINGSTART", "DOWNTIMEEND", "CommentAdded"])
def test_a_downtime_and_a_flapping_are_no_alerts(kind: str) -> None:
    reading = _read(notification_type=kind)
    assert (reading.alerts, len(reading.asides)) == ((), 1)


def test_an_event_of_the_stream_is_read_like_the_notification_of_it() -> None:
    event = {
        "type": "StateChange",
        "host": "web-1",
        "service": "tracking-api",
        "state": 0.0,
        "state_type": 1,
        "timestamp": 1769851800.5,
    }
    alert = read({}, json.dumps(event | {"state": 0}).encode()).alerts[0]
    assert (alert.status, alert.fingerprint) == (Status.RESOLVED, _alert().fingerprint)


@pytest.mark.parametrize("host", ["", None, "$HOSTNAME$", "$host.name$", []])
def test_without_a_host_it_is_refused(host: Any) -> None:
    with pytest.raises(BadPayload, match="host"):
        _read(host=host)
