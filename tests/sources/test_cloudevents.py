"""CloudEvents about alerts: the three ways to send them, and the words by which they fire and end."""

import json
from typing import Any

import pytest

from paramedic.alerts.alert import Alert, Status
from paramedic.alerts.reading import BadPayload, Reading
from paramedic.sources.cloudevents import EXAMPLE, read

BINARY = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "/monitoring/eu-1",
    "ce-type": "com.example.alert.firing",
    "ce-time": "2026-01-31T09:30:00Z",
    "ce-subject": "tracking%20api",
    "content-type": "application/json",
}


def _event(**changes: Any) -> dict[str, Any]:
    return {**json.loads(EXAMPLE), **changes}


def _read(*events: Any) -> Reading:
    return read({}, json.dumps(events[0] if len(events) == 1 else events).encode())


def _alert(**changes: Any) -> Alert:
    return _read(_event(**changes)).alerts[0]


@pytest.mark.parametrize(
    ("kind", "data", "status"),
    [
        ("x", {"status": "firing"}, Status.FIRING),
        ("x", {"state": "OK"}, Status.RESOLVED),
        ("x", {"alert": {"status": "acknowledged"}}, Status.ACKNOWLEDGED),
        ("com.example.problem.resolved", {}, Status.RESOLVED),
        ("com.example.alert.triggered.v1", {}, Status.FIRING),
        ("com.example.alert.firing", {"status": "resolved"}, Status.RESOLVED),
    ],
)
def test_the_data_s_status_counts_then_the_type_s_last_word(kind: str, data: Any, status: Status) -> None:
    assert _alert(type=kind, data=data).status is status


@pytest.mark.parametrize("kind", ["com.example.order.created", "com.example.broker", "", "tokens.reset"])
def test_an_event_about_no_alert_is_kept_beside_them(kind: str) -> None:
    reading = _read(_event(type=kind, data={"order": 7}))
    assert (reading.alerts, len(reading.asides)) == ((), 1)


def test_another_event_about_the_same_alert_is_the_same_alert() -> None:
    over = _alert(
        id="another",
        type="com.example.alert.resolved",
        time="2026-01-31T10:30:00Z",
        data={"fingerprint": "abc123def456"},
    )
    assert (over.status, over.fingerprint) == (Status.RESOLVED, _alert().fingerprint)
    assert _alert(source="/monitoring/us-1").fingerprint != _alert().fingerprint


def test_without_a_fingerprint_source_name_and_subject_tell_two_apart() -> None:
    data = {"status": "firing", "name": "slow"}
    one, other = _alert(data=data), _alert(data=data, subject="order-status")
    assert one.fingerprint == _alert(data=data, id="2").fingerprint != other.fingerprint


def test_a_binary_event_has_its_attributes_in_headers() -> None:
    data = json.loads(EXAMPLE)["data"]
    reading = read(BINARY, json.dumps(data).encode())
    assert reading.alerts[0].labels == _alert().labels
    without = read(BINARY, b"").alerts[0]
    assert (without.name, without.status) == ("tracking api", Status.FIRING)


def test_of_a_batch_each_is_read_on_its_own() -> None:
    reading = _read(_event(), _event(type="x", data={}), _event(type="x", data={"status": "ok", "name": "y"}), "z")
    assert [alert.name for alert in reading.alerts] == ["TrackingApiSlow", "y"]
    assert len(reading.asides) == 2


def test_a_flood_of_other_events_is_counted() -> None:
    reading = _read(*[_event(type="x", data={})] * 50)
    assert (len(reading.asides), len(reading.bad)) == (20, 1)
    assert "30 more of them" in reading.bad[0].error


@pytest.mark.parametrize("body", [b'{"data": {}}', b"[]", b'"x"', b'[{"id": 1}]'])
def test_what_is_no_event_is_refused(body: bytes) -> None:
    if body == b"[]":
        assert read({}, body) == Reading()
        return
    with pytest.raises(BadPayload):
        read({}, body)
