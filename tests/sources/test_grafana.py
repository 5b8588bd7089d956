"""Grafana's webhooks: what its users and the tools that receive them have met."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.reading import BadPayload, Reading
from paramedic.alerts.severity_words import DEFAULT
from paramedic.sources.grafana import EXAMPLE, read


def _read(**changes: Any) -> Reading:
    """The example with these changes of its one alert; `group` has those of the whole."""
    group = changes.pop("group", {})
    body = json.loads(EXAMPLE)
    body["alerts"][0] |= changes
    return read({}, json.dumps(body | group).encode())


def _legacy(**changes: Any) -> Reading:
    rule = {
        "ruleId": 57.0,
        "ruleName": "Pods down",
        "state": "alerting",
        "title": "[Alerting] Pods down",
        "evalMatches": [],
    }
    return read({}, json.dumps({**rule, **changes}).encode())


def _one(reading: Reading) -> Alert:
    (alert,) = reading.alerts
    return alert


def test_its_label_says_how_bad_it_is_and_its_panel_is_the_link() -> None:
    alert = DEFAULT.judged(_one(_read(panelURL="https://grafana.example.com/d/1?viewPanel=2")))
    assert (alert.severity, alert.annotations["value"]) == (Severity.CRITICAL, "A=0.34")
    assert alert.annotations["link"] == "https://grafana.example.com/d/1?viewPanel=2"
    assert alert.annotations["silence_url"] == "https://grafana.example.com/alerting/silence/new"


def test_the_status_of_the_alert_counts_and_not_that_of_its_group() -> None:
    over = _one(
        _read(status="resolved", endsAt="2026-01-31T10:30:00Z", group={"state": "alerting", "status": "firing"})
    )
    assert (over.status, over.ends_at) == (Status.RESOLVED, datetime(2026, 1, 31, 10, 30, tzinfo=UTC))
    assert over.fingerprint == _one(_read()).fingerprint
    assert _one(_read(status=None, group={"status": "resolved"})).status is Status.RESOLVED


def test_what_was_left_out_of_the_group_is_told() -> None:
    reading = _read(group={"truncatedAlerts": 3})
    assert reading.truncated == 3
    assert "left 3 more alerts" in _one(reading).notes[0]


@pytest.mark.parametrize("labels", [None, [], {"service": "tracking-api"}])
def test_an_alert_without_a_name_has_its_group_s_and_says_so(labels: Any) -> None:
    alert = _one(_read(labels=labels))
    assert alert.name == "TrackingApiSlow"
    assert "labels.alertname: is missing, taken from the group" in alert.notes


def test_two_alerts_without_labels_are_told_apart_by_grafana_s_fingerprint() -> None:
    one, other = (_one(_read(labels={}, fingerprint=mark)).fingerprint for mark in ("a", "b"))
    assert one != other


def test_a_fingerprint_that_somebody_claims_merges_no_two_alerts_with_labels() -> None:
    one, other = (_one(_read(labels={"alertname": name})).fingerprint for name in ("A", "B"))
    assert one != other


def test_an_alert_that_is_no_object_hides_no_other() -> None:
    body = json.loads(EXAMPLE)
    reading = read({}, json.dumps({**body, "alerts": ["x", *body["alerts"]]}).encode())
    assert (len(reading.alerts), len(reading.bad)) == (1, 1)


def test_a_legacy_rule_is_one_alert_from_alerting_to_ok() -> None:
    fired, over = _one(_legacy()), _one(_legacy(state="ok", title="[OK] Pods down"))
    assert (fired.status, over.status, fired.name) == (Status.FIRING, Status.RESOLVED, "Pods down")
    assert fired.fingerprint == over.fingerprint != _one(_legacy(ruleId=58)).fingerprint
    assert _one(_legacy(state="no_data")).status is Status.FIRING


@pytest.mark.parametrize("state", ["pending", "paused", "unknown"])
def test_a_legacy_rule_that_does_not_fire_yet_is_no_alert(state: str) -> None:
    reading = _legacy(state=state)
    assert (reading.alerts, len(reading.asides)) == ((), 1)


@pytest.mark.parametrize(
    ("matches", "pod"),
    [
        ([{"metric": "a", "value": 1, "tags": {"pod": "x"}}], "x"),
        ([{"metric": "a", "value": 1, "tags": {"pod": "x"}}, {"metric": "b", "value": 2, "tags": None}], None),
        ([{"metric": "a", "value": 1, "tags": None}], None),
        (None, None),
    ],
)
def test_the_one_thing_that_a_legacy_rule_found_names_its_object(matches: Any, pod: str | None) -> None:
    assert _one(_legacy(evalMatches=matches)).labels.get("pod") == pod


def test_a_body_of_something_else_is_refused_in_words() -> None:
    with pytest.raises(BadPayload, match="ruleName and state"):
        read({}, b'{"text": "hello"}')
