"""Uptime Kuma's webhook: what its users and the tools that receive it have met."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from paramedic.alerts.alert import Status
from paramedic.alerts.reading import Reading
from paramedic.sources.uptime_kuma import EXAMPLE, read

AT = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


def _read(beat: dict[str, Any] | None = None, **monitor: Any) -> Reading:
    body = json.loads(EXAMPLE)
    body["heartbeat"] |= beat or {}
    body["monitor"] |= monitor
    return read({}, json.dumps(body).encode())


def test_a_monitor_is_one_alert_from_down_to_up() -> None:
    down, up = _read().alerts[0], _read({"status": 1, "time": "2026-01-31 10:30:00.000"}, name="renamed").alerts[0]
    assert (down.status, up.status, down.fingerprint) == (Status.FIRING, Status.RESOLVED, up.fingerprint)
    assert up.ends_at == datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
    assert (down.labels["service"], down.labels["instance"]) == ("tracking-api", "tracking.example.com")


@pytest.mark.parametrize(
    "beat",
    [
        {"time": "2026-01-31 09:30:00.000", "localDateTime": "2026-01-31 11:00:00", "timezoneOffset": "+01:30"},
        {"time": None, "localDateTime": "2026-01-31 11:00:00", "timezoneOffset": "+01:30"},
    ],
)
def test_its_time_is_utc_and_its_local_time_has_an_offset(beat: dict[str, Any]) -> None:
    alert = _read(beat).alerts[0]
    assert (alert.starts_at, alert.notes) == (AT, ())


@pytest.mark.parametrize("status", [2, 3, None, "x"])
def test_pending_and_maintenance_are_no_alerts(status: Any) -> None:
    reading = _read({"status": status})
    assert (reading.alerts, len(reading.asides)) == ((), 1)


def test_its_test_has_no_heartbeat_and_is_kept_beside_the_alerts() -> None:
    reading = read({}, b'{"heartbeat": null, "monitor": null, "msg": "paramedic Testing"}')
    assert (reading.alerts, len(reading.asides)) == ((), 1)


@pytest.mark.parametrize(
    ("monitor", "instance"),
    [
        ({"hostname": "db-1", "url": "https://"}, "db-1"),
        ({"url": "https://", "name": "Port Monitor"}, "Port Monitor"),
        ({"url": "https://[bad", "name": "x"}, "x"),
    ],
)
def test_without_an_address_its_host_or_its_name_is_the_instance(monitor: dict[str, Any], instance: str) -> None:
    labels = _read(**monitor).alerts[0].labels
    assert (labels["instance"], labels.get("url") in (None, "https://[bad")) == (instance, True)


def test_a_form_is_read_alike() -> None:
    form = urlencode({"data": EXAMPLE}).encode()
    assert read({"content-type": "application/x-www-form-urlencoded"}, form).alerts == _read().alerts
