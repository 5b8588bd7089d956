"""Datadog's webhook: what its users and the tools that receive it have met."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.reading import BadPayload, Reading
from paramedic.alerts.severity_words import DEFAULT
from paramedic.sources.datadog import EXAMPLE, TEMPLATE, read


def _alert(**changes: Any) -> Alert:
    return read({}, json.dumps({**json.loads(EXAMPLE), **changes}).encode()).alerts[0]


def test_the_template_has_every_field_of_the_example() -> None:
    template = json.loads(TEMPLATE)
    assert template.keys() == json.loads(EXAMPLE).keys()
    assert all(value.startswith("$") for value in template.values())


@pytest.mark.parametrize(
    ("transition", "status"),
    [
        ("Triggered", Status.FIRING),
        ("Re-Triggered", Status.FIRING),
        ("Warn", Status.FIRING),
        ("No Data", Status.FIRING),
        ("Renotify", Status.FIRING),
        ("Recovered", Status.RESOLVED),
        ("Recovered (No Data)", Status.RESOLVED),
    ],
)
def test_each_transition_says_whether_it_fires(transition: str, status: Status) -> None:
    assert (_alert(alert_transition=transition).status, _alert(alert_transition=transition).notes) == (status, ())


def test_one_cycle_is_one_alert_from_trigger_to_recovery_and_the_next_is_another() -> None:
    began, over = _alert(), _alert(alert_transition="Recovered", date="1769855400000", event_id="9")
    assert began.fingerprint == over.fingerprint
    assert over.ends_at == datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
    assert _alert(alert_cycle_key="another").fingerprint != began.fingerprint


def test_each_group_of_a_multi_alert_without_our_template_is_an_alert_of_its_own() -> None:
    def default(transition: str, scope: str, event: str) -> Alert:
        body = {
            "id": event,
            "title": f"[P1] [{transition} on {{host:{scope}}}] CPU is high",
            "date": "1769851800000",
            "body": "[[Monitor Status](https://app.datadoghq.com/monitors/77?x=1)]",
        }
        return read({}, json.dumps(body).encode()).alerts[0]

    fired, over, other = (
        default("Triggered", "web-1", "1"),
        default("Recovered", "web-1", "2"),
        default("Triggered", "web-2", "3"),
    )
    assert (fired.name, fired.labels["host"], fired.labels["monitor"]) == ("CPU is high", "web-1", "77")
    assert fired.fingerprint == over.fingerprint != other.fingerprint
    assert (fired.status, over.status) == (Status.FIRING, Status.RESOLVED)


def test_an_author_s_own_bracket_stays_in_the_name() -> None:
    assert _alert(alert_title="[prod] CPU is high").name == "[prod] CPU is high"


def test_a_variable_that_datadog_does_not_know_is_left_out_and_said() -> None:
    alert = _alert(alert_cycle_key="$ALERT_CYCLE_KEY", hostname="$HOSTNAME")
    assert "$" not in json.dumps(alert.as_json()["labels"])
    assert sum("not filled in" in note for note in alert.notes) == 2
    assert alert.fingerprint == _alert(alert_cycle_key="", hostname="").fingerprint


@pytest.mark.parametrize(
    ("priority", "kind", "transition", "severity", "informational"),
    [
        ("P1", "error", "Triggered", Severity.CRITICAL, False),
        ("P2", "warning", "Warn", Severity.CRITICAL, False),
        ("P4", "error", "Triggered", Severity.WARNING, False),
        ("P5", "error", "Triggered", Severity.WARNING, True),
        ("", "error", "Triggered", Severity.CRITICAL, False),
        ("", "warning", "Warn", Severity.WARNING, False),
        ("normal", "error", "Triggered", Severity.CRITICAL, False),
    ],
)
def test_the_monitor_s_priority_counts_then_the_type(
    priority: str, kind: str, transition: str, severity: Severity, *, informational: bool
) -> None:
    alert = DEFAULT.judged(_alert(alert_priority=priority, alert_type=kind, alert_transition=transition))
    assert (alert.severity, alert.informational) == (severity, informational)


def test_an_event_of_no_monitor_is_kept_beside_the_alerts() -> None:
    reading = read({}, b'{"id": "1", "title": "Ada commented", "event_type": "comment", "body": "seen"}')
    assert (reading.alerts, [aside.tell for aside in reading.asides]) == ((), [False])


def test_a_quote_in_a_message_that_breaks_the_json_is_refused_with_the_place() -> None:
    with pytest.raises(BadPayload, match="is no JSON"):
        read({}, b'{"alert_title": "he said "no" again"}')


@pytest.mark.parametrize("whole", [True, False])
def test_a_body_that_is_encoded_as_a_form_is_read_alike(whole: bool) -> None:
    fields = {"payload": EXAMPLE} if whole else json.loads(EXAMPLE)
    form: Reading = read({"content-type": "application/x-www-form-urlencoded"}, urlencode(fields).encode())
    assert form.alerts[0].as_json() == _alert().as_json()
