"""New Relic's webhooks: what its users and the tools that receive them have met."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.reading import BadPayload
from paramedic.alerts.severity_words import DEFAULT
from paramedic.sources.newrelic import EXAMPLE, TEMPLATE, read


def _alert(**changes: Any) -> Alert:
    return read({}, json.dumps({**json.loads(EXAMPLE), **changes}).encode()).alerts[0]


def test_the_template_names_what_the_example_has_but_for_new_relic_s_own() -> None:
    names = {line.split('"')[1] for line in TEMPLATE.splitlines() if line.startswith('  "')}
    assert names == json.loads(EXAMPLE).keys() - {"isCorrelated", "sources"}


def test_an_acknowledgement_is_no_new_alert() -> None:
    taken = _alert(trigger="USER_ACTION", owner="Ada")
    assert (taken.status, taken.by, taken.fingerprint) == (Status.ACKNOWLEDGED, "Ada", _alert().fingerprint)
    assert _alert(trigger="", acknowledgedAt=1769851900000).status is Status.ACKNOWLEDGED


def test_an_incident_that_joins_an_acknowledged_issue_is_news() -> None:
    assert _alert(trigger="INCIDENT_ADDED", acknowledgedAt=1769851900000).status is Status.FIRING


def test_an_issue_is_one_alert_until_it_is_closed_by_whomever() -> None:
    for trigger in ("INCIDENT_CLOSED", "USER_ACTION"):
        over = _alert(state="CLOSED", trigger=trigger, closedAt=1769855400000)
        assert (over.status, over.fingerprint) == (Status.RESOLVED, _alert().fingerprint)
        assert over.ends_at == datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
    assert _alert(state="CLOSED", updatedAt=1769855400000).ends_at == datetime(2026, 1, 31, 10, 30, tzinfo=UTC)


def test_without_an_id_the_issue_s_page_names_it() -> None:
    page = "https://radar-api.service.newrelic.com/accounts/1/issues/0ea2df1c-adab-45d2-aae0-042b609d2322"
    one, other = _alert(id=None, issueUrl=f"{page}?notifier=SLACK"), _alert(id=None, issueUrl=page, title="changed")
    assert one.fingerprint == other.fingerprint != _alert().fingerprint


@pytest.mark.parametrize(
    ("priority", "severity", "informational"),
    [("CRITICAL", Severity.CRITICAL, False), ("HIGH", Severity.WARNING, False), ("INFO", Severity.WARNING, True)],
)
def test_a_warning_threshold_arrives_as_high(priority: str, severity: Severity, *, informational: bool) -> None:
    alert = DEFAULT.judged(_alert(priority=priority))
    assert (alert.severity, alert.informational, alert.labels["priority"]) == (severity, informational, priority)


def test_its_tags_are_labels_and_the_one_entity_is_the_instance() -> None:
    labels = _alert().labels
    assert (labels["service"], labels["env"], labels["instance"]) == ("tracking-api", "prod", "tracking-api")
    many = _alert(impactedEntities=["web-1", "web-2"]).labels
    assert (many["entity"], "instance" in many) == ("web-1, web-2", False)


def test_a_classic_template_s_acknowledgement_and_target() -> None:
    classic = {
        "incident_id": 7,
        "condition_name": "Down",
        "current_state": "acknowledged",
        "targets": [{"name": "web-1"}],
    }
    alert = read({}, json.dumps(classic).encode()).alerts[0]
    assert (alert.status, alert.labels["instance"]) == (Status.ACKNOWLEDGED, "web-1")


def test_a_test_of_the_destination_is_kept_beside_the_alerts() -> None:
    for body in (b"{}", b'{"ping": "pong"}'):
        reading = read({}, body)
        assert (reading.alerts, len(reading.asides)) == ((), 1)


def test_a_body_of_something_else_is_refused_in_words() -> None:
    with pytest.raises(BadPayload, match="alertConditionNames"):
        read({}, b'{"version": "4", "receiver": "x", "alerts": []}')
