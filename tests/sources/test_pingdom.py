"""Pingdom's webhook: what its users and the tools that receive it have met."""

import json
from typing import Any

import pytest

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.reading import BadPayload
from paramedic.alerts.severity_words import DEFAULT
from paramedic.sources.pingdom import EXAMPLE, read


def _alert(**changes: Any) -> Alert:
    return DEFAULT.judged(read({}, json.dumps({**json.loads(EXAMPLE), **changes}).encode()).alerts[0])


@pytest.mark.parametrize(
    ("state", "status"),
    [("DOWN", Status.FIRING), ("FAILING", Status.FIRING), ("UP", Status.RESOLVED), ("SUCCESS", Status.RESOLVED)],
)
def test_a_check_is_one_alert_from_down_to_up(state: str, status: Status) -> None:
    alert = _alert(current_state=state, check_name="renamed")
    assert (alert.status, alert.fingerprint) == (status, _alert().fingerprint)


@pytest.mark.parametrize("state", ["PAUSED", "UNKNOWN"])
def test_a_state_that_is_no_fault_is_kept_beside_the_alerts(state: str) -> None:
    reading = read({}, json.dumps({**json.loads(EXAMPLE), "current_state": state}).encode())
    assert (reading.alerts, len(reading.asides)) == ((), 1)


def test_its_importance_says_how_bad_it_is_and_its_host_and_tags_what_it_is_about() -> None:
    assert (_alert().severity, _alert(importance_level="LOW").severity) == (Severity.CRITICAL, Severity.WARNING)
    assert (_alert().labels["instance"], _alert().labels["service"]) == ("tracking.example.com", "tracking-api")
    assert _alert(tags=[{"name": "service:shop"}], check_params=None).labels["service"] == "shop"


@pytest.mark.parametrize("changes", [{"check_id": None}, {"current_state": "null"}])
def test_without_check_or_state_it_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadPayload, match="check_id and current_state"):
        _alert(**changes)
