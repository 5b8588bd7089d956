"""Zabbix's webhook: what its users and the tools that receive it have met."""

import json
from typing import Any

import pytest

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.reading import BadPayload
from paramedic.alerts.severity_words import DEFAULT
from paramedic.sources.zabbix import EXAMPLE, TEMPLATE, read


def _alert(**changes: Any) -> Alert:
    return read({}, json.dumps({**json.loads(EXAMPLE), **changes}).encode()).alerts[0]


def test_the_template_has_every_parameter_of_the_example() -> None:
    assert json.loads(TEMPLATE).keys() == json.loads(EXAMPLE).keys()


def test_a_problem_is_one_alert_by_its_event() -> None:
    over = _alert(event_value="0", recovery_timestamp="1769855400")
    assert (over.status, over.fingerprint) == (Status.RESOLVED, _alert().fingerprint)
    assert over.ends_at is not None
    assert _alert(event_id="10529").fingerprint != _alert().fingerprint


@pytest.mark.parametrize(
    ("action", "update", "status"),
    [
        ("acknowledged", "1", Status.ACKNOWLEDGED),
        ("commented, acknowledged", "1", Status.ACKNOWLEDGED),
        ("unacknowledged", "1", Status.FIRING),
        ("changed severity from Average to High", "1", Status.FIRING),
        ("acknowledged", "0", Status.FIRING),
    ],
)
def test_an_update_that_acknowledges_is_no_new_alert(action: str, update: str, status: Status) -> None:
    assert _alert(update_action=action, event_update_status=update, user="Ada").status is status


@pytest.mark.parametrize(
    ("number", "name", "severity", "informational"),
    [
        ("5", "whatever it was renamed to", Severity.CRITICAL, False),
        ("4", "", Severity.CRITICAL, False),
        ("3", "", Severity.WARNING, False),
        ("1", "", Severity.WARNING, True),
        ("", "High", Severity.CRITICAL, False),
        ("{EVENT.NSEVERITY}", "Average", Severity.WARNING, False),
    ],
)
def test_the_number_of_the_severity_counts_whatever_it_is_called(
    number: str, name: str, severity: Severity, *, informational: bool
) -> None:
    alert = DEFAULT.judged(_alert(event_nseverity=number, event_severity=name))
    assert (alert.severity, alert.informational) == (severity, informational)


@pytest.mark.parametrize(
    "written", ['[{"tag": "service", "value": "shop"}]', [{"tag": "service", "value": "shop"}], "service:shop, urgent"]
)
def test_its_tags_are_labels_however_they_are_written(written: Any) -> None:
    assert _alert(event_tags=written).labels["service"] == "shop"


@pytest.mark.parametrize("written", ["[broken", "{EVENT.TAGSJSON}", None])
def test_tags_that_cannot_be_read_are_none(written: Any) -> None:
    assert "service" not in _alert(event_tags=written).labels


@pytest.mark.parametrize("host", ["{HOST.HOST}", "*UNKNOWN*"])
def test_a_macro_that_was_not_filled_in_is_left_out_and_said(host: str) -> None:
    alert = _alert(host=host)
    assert ("host" in alert.labels, alert.labels["instance"]) == (False, "10.0.0.7")
    assert any("not filled in" in note for note in alert.notes)


def test_a_body_without_a_name_is_refused_with_the_way_out() -> None:
    with pytest.raises(BadPayload, match="parameters of our template"):
        read({}, b'{"subject": "x"}')
