"""Alertmanager's webhook, by payloads that were really sent or documented (payloads/README.md says where they are from)."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.reading import BadPayload
from paramedic.intake import triage
from paramedic.intake.triage import Known
from paramedic.machine.clock import utc_now
from paramedic.sources.alertmanager import read
from paramedic.text.bounds import LENGTH, MOST, NAME_LENGTH, VALUE_LENGTH
from paramedic.text.redaction import forget_all, remember

PAYLOADS = Path(__file__).parents[1] / "payloads" / "alertmanager"


def _read(name: str) -> Any:
    return read({}, (PAYLOADS / name).read_bytes())


@pytest.mark.parametrize(
    ("file", "count", "status", "name", "severity", "instance"),
    [
        ("alertmonitor-three-firing-severity-major.json", 3, "firing", "ICMP ping failed", "critical", "172.29.254.30"),
        (
            "alertmonitor-three-resolved-zero-endsat.json",
            3,
            "resolved",
            "ICMP ping failed",
            "critical",
            "172.29.254.30",
        ),
        (
            "cloudforet-two-firing-truncated-float.json",
            2,
            "firing",
            "PrometheusRuleFailures",
            "critical",
            "172.16.17.80:9090",
        ),
        ("oncall-example-v4.json", 2, "firing", "InstanceDown", "critical", "localhost:8081"),
        ("oncall-one-bare-alert-no-envelope.json", 1, "firing", "KubeJobCompletion", "warning", "10.143.139.7:8443"),
        ("v3-numeric-groupkey.json", 1, "firing", "failedConnect", "critical", "host2"),
        ("v4-severity-in-annotations-too.json", 1, "firing", "thing_dead", "critical", None),
    ],
)
def test_real_payloads_are_read(
    file: str, count: int, status: str, name: str, severity: str, instance: str | None
) -> None:
    reading = _read(file)
    assert reading.bad == ()
    assert len(reading.alerts) == count
    first = reading.alerts[0]
    assert (first.status, first.name, first.severity) == (Status(status), name, Severity(severity))
    assert first.labels.get("instance") == instance
    assert first.ends_at is None


def test_a_start_with_another_offset_is_the_same_moment_in_utc() -> None:
    assert _read("v3-numeric-groupkey.json").alerts[0].starts_at == datetime(2016, 8, 1, 10, 27, 8, 8000, tzinfo=UTC)


def test_alerts_that_differ_in_one_label_are_two_and_the_same_labels_are_one() -> None:
    one, other = _read("cloudforet-two-firing-truncated-float.json").alerts
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == _read("cloudforet-two-firing-truncated-float.json").alerts[0].fingerprint


def test_a_fingerprint_that_somebody_claims_merges_nothing() -> None:
    one, other = read({}, _group(fingerprint="f404ecabc8dd5cd7")).alerts
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("severity", "means"),
    [("Critical", "critical"), ("page", "critical"), ("high", "critical"), ("none", "warning"), ("", "warning")],
)
def test_what_people_write_for_now_is_critical_and_all_else_a_warning(severity: str, means: str) -> None:
    assert read({}, _group(labels={"alertname": "X", "severity": severity})).alerts[1].severity == means


def test_no_value_stands_in_an_error_where_its_cut_end_would_no_longer_be_known_for_a_secret() -> None:
    secret = "a-secret-that-is-longer-than-what-an-error-would-show-" * 3
    for changes in ({"startsAt": secret}, {"status": secret}, {"labels": {"alertname": "X", secret * 5: "x"}}):
        [alert] = [alert for alert in read({}, _group(**changes)).alerts if alert.notes]
        assert "a-secret" not in "".join(alert.notes)


def test_a_flood_of_bad_alerts_is_a_few_bodies_and_every_one_is_counted() -> None:
    body = json.dumps({"alerts": [json.loads(_group())["alerts"][0], *range(50_000)]}).encode()
    reading = read({}, body)
    assert len(reading.alerts) == 1
    assert len(reading.bad) <= 21
    assert sum(unreadable.count for unreadable in reading.bad) == 50_000
    assert "49999" in reading.bad[-1].body, "none is thrown away"


def _group(**changes: Any) -> bytes:
    good = json.loads((PAYLOADS / "oncall-example-v4.json").read_text())
    good["alerts"][1].update(changes)
    return json.dumps(good).encode()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"labels": {"severity": "critical"}}, "alerts[1].labels.alertname"),
        ({"labels": {"alertname": ""}}, "alerts[1].labels.alertname"),
        ({"labels": {"alertname": None}}, "alerts[1].labels.alertname"),
        ({"labels": None}, "alerts[1].labels"),
        ({"labels": []}, "alerts[1].labels"),
    ],
)
def test_what_has_no_name_is_no_alert_and_the_good_one_of_its_group_is_read(
    changes: dict[str, Any], field: str
) -> None:
    reading = read({}, _group(**changes))
    assert [alert.labels["instance"] for alert in reading.alerts] == ["localhost:8081"]
    assert [unreadable.error.split(":")[0] for unreadable in reading.bad] == [field]


CRITICAL = {"alertname": "X", "severity": "critical"}


def _one(**changes: Any) -> Alert:
    """The second alert of the group, which cannot be read as it is; the first is as good as ever."""
    reading = read({}, _group(**changes))
    assert reading.bad == ()
    assert reading.alerts[0].notes == ()
    return reading.alerts[1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (8080, "8080"),
        (-0.50, "-0.5"),
        (float("nan"), "NaN"),
        (10**400, "1" + "0" * 400),
        (True, "true"),
        (False, "false"),
        (None, ""),
        ({"a": [1, None]}, '{"a":["1",null]}'),
        (["é", {}], '["é",{}]'),
        ([[[]]], "[[[]]]"),
    ],
)
@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_whatever_a_label_or_an_annotation_holds_is_text_and_the_alert_is_as_critical(
    field: str, value: Any, text: str
) -> None:
    alert = _one(**({"labels": CRITICAL} | {field: CRITICAL | {"k": value}}))
    assert getattr(alert, field)["k"] == text
    assert alert.severity == "critical"
    assert f"{field}.k" in alert.notes[0]


def test_a_number_keeps_every_digit_that_was_written() -> None:
    body = _group(labels=CRITICAL | {"n": 0}).replace(b'"n": 0', b'"n": 1.10000000000000000000001E+3')
    assert read({}, body).alerts[1].labels["n"] == "1.10000000000000000000001E+3"


def test_a_long_annotation_is_cut_and_its_alert_counts() -> None:
    alert = _one(labels=CRITICAL, annotations={"summary": "x", "description": "log line\n" * 2300, "runbook_url": "u"})
    assert (alert.severity, len(alert.annotations["description"])) == ("critical", VALUE_LENGTH)
    assert alert.annotations["description"].startswith("log line\nlog line\n")
    assert (alert.annotations["summary"], alert.annotations["runbook_url"]) == ("x", "u")
    assert alert.notes == ("annotations.description: 20700 characters, cut",)


def test_of_too_many_labels_the_ones_that_runbooks_go_by_are_kept_whatever_their_place() -> None:
    many = {f"l{number}": "x" for number in range(300)}
    alert = _one(labels=many | CRITICAL | {"instance": "h", "service": "s"})
    assert len(alert.labels) == MOST
    assert alert.labels.items() >= (CRITICAL | {"instance": "h", "service": "s", "l0": "x"}).items()
    assert alert.notes == ("labels: 176 of 304 left out",)


def test_labels_that_are_too_long_together_are_kept_as_far_as_they_fit() -> None:
    alert = _one(labels={f"l{n}": "x" * 16_000 for n in range(9)} | CRITICAL)
    assert (alert.name, alert.severity) == ("X", "critical")
    assert sum(len(key) + len(value) for key, value in alert.labels.items()) <= LENGTH
    assert len(alert.labels) >= 6


def test_two_names_that_begin_alike_stay_two_where_they_are_cut() -> None:
    alert = _one(labels=CRITICAL | {"n" * 300 + "a": "1", "n" * 300 + "b": "2"})
    assert sorted(value for key, value in alert.labels.items() if key.startswith("nnn")) == ["1", "2"]
    assert all(len(key) <= NAME_LENGTH for key in alert.labels)


def test_alerts_that_differ_only_in_what_was_cut_off_are_two() -> None:
    one, other = (_one(labels=CRITICAL | {"k": "x" * 20_000 + end}) for end in "ab")
    assert one.labels == other.labels
    assert one.fingerprint != other.fingerprint


def test_no_secret_is_cut_in_two_and_then_no_longer_known() -> None:
    secret = "Tr0ub4dor&3/horse+staple"
    remember(secret)
    try:
        for before in range(VALUE_LENGTH - 30, VALUE_LENGTH + 5):
            alert = _one(labels=CRITICAL | {"k": "." * before + secret + "." * 50_000})
            assert "Tr0u" not in alert.labels["k"]
    finally:
        forget_all()


@pytest.mark.parametrize(
    "start",
    [
        "yesterday",
        None,
        "",
        3,
        [],
        {},
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-12:00",
    ],
)
def test_without_a_start_that_can_be_right_it_began_when_it_came(start: Any) -> None:
    before = utc_now()
    alert = _one(labels=CRITICAL, startsAt=start)
    assert before <= alert.starts_at <= utc_now()
    assert alert.severity == "critical"
    assert alert.notes[0].startswith("startsAt: ")
    assert "time of receipt" in alert.notes[0]


def test_a_start_without_a_zone_is_utc_and_noted() -> None:
    alert = _one(startsAt="2026-01-31T09:30:00")
    assert alert.starts_at == datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    assert alert.notes == ("startsAt: names no time zone, taken as UTC",)


@pytest.mark.parametrize(
    ("status", "ends", "means"),
    [
        ("Resolved", None, "resolved"),
        (" FIRING ", None, "firing"),
        ("pending", None, "firing"),
        ("pending", "2026-01-31T09:30:00Z", "resolved"),
        ({"state": "active"}, "0001-01-01T00:00:00Z", "firing"),
        (3, "soon", "firing"),
        ([], "9999-01-01T00:00:00Z", "firing"),
    ],
)
def test_a_status_that_nobody_knows_is_firing_unless_it_has_ended(status: Any, ends: str | None, means: str) -> None:
    alert = _one(status=status, endsAt=ends)
    assert alert.status == means
    assert any(note.startswith("status") for note in alert.notes) is (
        str(status).strip().lower() not in ("resolved", "firing")
    )


@pytest.mark.parametrize("end", [None, "", "0001-01-01T00:00:00Z"])
def test_an_end_that_its_sender_does_not_know_is_none(end: Any) -> None:
    alert = _one(endsAt=end)
    assert (alert.ends_at, alert.notes) == (None, ())


@pytest.mark.parametrize("end", ["soon", 3, [], "99999-01-01T00:00:00Z"])
def test_an_end_that_is_no_time_is_left_out_and_noted(end: Any) -> None:
    alert = _one(endsAt=end)
    assert (alert.ends_at, alert.notes) == (None, ("endsAt: no time, left out",))


@pytest.mark.parametrize("annotations", ["a text", ["one", "two"], 7])
def test_annotations_that_are_none_are_kept_for_a_person(annotations: Any) -> None:
    alert = _one(labels=CRITICAL, annotations=annotations)
    assert list(alert.annotations) == ["annotations"]


def test_how_many_alerts_its_sender_left_out_is_known_and_noted_on_those_that_came() -> None:
    payload = json.loads(_group()) | {"truncatedAlerts": 37}
    reading = read({}, json.dumps(payload).encode())
    assert reading.truncated == 37
    assert all("37 more alerts" in alert.notes[0] for alert in reading.alerts)


@pytest.mark.parametrize("count", [0, 0.0, -1, None, "many", float("nan"), float("inf"), [], True])
def test_what_is_no_count_left_nothing_out(count: Any) -> None:
    reading = read({}, json.dumps(json.loads(_group()) | {"truncatedAlerts": count}).encode())
    assert (reading.truncated, reading.alerts[0].notes) == (0, ())


def test_notes_are_few() -> None:
    alert = _one(labels=CRITICAL | {f"l{number}": number for number in range(100)})
    assert len(alert.notes) <= 9
    assert alert.notes[-1] == "92 more changes like these"


def test_notes_are_in_the_reason_of_the_decision_and_outlive_the_inbox() -> None:
    alert = Alert.from_json(json.loads(json.dumps(_one(labels=CRITICAL | {"port": 8080}).as_json())))
    reason = triage.decide(alert, Known(now=utc_now())).reason
    assert "read with changes: labels.port: a number, read as text" in reason


def test_deep_nesting_is_named_or_noted_and_ends() -> None:
    for depth in (100, 900, 1_200, 5_000, 100_000):
        nested = "[" * depth + "]" * depth
        body = _group(labels=CRITICAL | {"k": 0}).replace(b'"k": 0', b'"k": ' + nested.encode())
        try:
            assert read({}, body).alerts[1].severity == "critical"
        except BadPayload as error:
            assert error.field == "body"


@pytest.mark.parametrize(
    ("body", "field", "readable"),
    [
        (b"{", "body", False),
        (b"\xff", "body", False),
        (b"[]", "body", True),
        (b'{"alerts": 3}', "alerts", True),
        (b"{}", "alerts", True),
    ],
)
def test_a_body_that_is_nothing_of_the_kind_is_named(body: bytes, field: str, readable: bool) -> None:
    with pytest.raises(BadPayload) as caught:
        read({}, body)
    assert (caught.value.field, caught.value.readable) == (field, readable)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["alerts", "labels", "alertname", "status", "startsAt", "x"]), inner)
        ),
    )
)
def test_whatever_json_comes_it_is_read_or_named(payload: Any) -> None:
    try:
        reading = read({}, json.dumps(payload).encode())
    except BadPayload as error:
        assert error.field
    else:
        assert all(unreadable.error for unreadable in reading.bad)
