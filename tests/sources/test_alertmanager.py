"""Alertmanager's webhook, by payloads that were really sent or documented (payloads/README.md says where they are from)."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramedic.alert import Severity, Status
from paramedic.sources import BadPayload
from paramedic.sources.alertmanager import read

PAYLOADS = Path(__file__).parents[1] / "payloads" / "alertmanager"


def _read(name: str) -> Any:
    return read((PAYLOADS / name).read_bytes())


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
    one, other = read(_group(fingerprint="f404ecabc8dd5cd7")).alerts
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("said", "means"),
    [("Critical", "critical"), ("page", "critical"), ("high", "critical"), ("none", "warning"), ("", "warning")],
)
def test_what_people_write_for_now_is_critical_and_all_else_a_warning(said: str, means: str) -> None:
    assert read(_group(labels={"alertname": "X", "severity": said})).alerts[1].severity == means


def test_no_value_stands_in_an_error_where_its_cut_end_would_no_longer_be_known_for_a_secret() -> None:
    secret = "a-secret-that-is-longer-than-what-an-error-would-show-" * 3
    for changes in ({"startsAt": secret}, {"status": secret}, {"labels": {secret * 3: "x"}}):
        assert "a-secret" not in read(_group(**changes)).bad[0].error


def test_a_flood_of_bad_alerts_is_a_few_bodies_and_every_one_is_counted() -> None:
    body = json.dumps({"alerts": [json.loads(_group())["alerts"][0], *range(50_000)]}).encode()
    reading = read(body)
    assert len(reading.alerts) == 1
    assert len(reading.bad) <= 21
    assert sum(one.count for one in reading.bad) == 50_000
    assert "49999" in reading.bad[-1].body, "none is thrown away"


def _group(**changes: Any) -> bytes:
    good = json.loads((PAYLOADS / "oncall-example-v4.json").read_text())
    good["alerts"][1].update(changes)
    return json.dumps(good).encode()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"labels": {"severity": "critical"}}, "alerts[1].labels.alertname"),
        ({"labels": {"alertname": "X", "n": 3}}, "alerts[1].labels.n"),
        ({"labels": None}, "alerts[1].labels"),
        ({"labels": {"alertname": "X", "big": "x" * 20_000}}, "alerts[1].labels.big"),
        ({"startsAt": "yesterday"}, "alerts[1].startsAt"),
        ({"startsAt": "2026-01-31T09:30:00"}, "alerts[1].startsAt"),
        ({"startsAt": None}, "alerts[1].startsAt"),
        ({"startsAt": "0001-01-01T00:00:00Z"}, "alerts[1].startsAt"),
        ({"startsAt": "9999-12-31T23:59:59Z"}, "alerts[1].startsAt"),
        ({"labels": {"alertname": "X"} | {f"l{n}": "x" * 16_000 for n in range(5)}}, "alerts[1].labels"),
        ({"labels": {"alertname": "X", "n" * 300: "x"}}, "alerts[1].labels"),
        ({"status": "pending"}, "alerts[1].status"),
        ({"annotations": {"a": []}}, "alerts[1].annotations.a"),
    ],
)
def test_of_a_group_with_one_bad_alert_the_good_one_is_read_and_the_field_is_named(
    changes: dict[str, Any], field: str
) -> None:
    reading = read(_group(**changes))
    assert [alert.labels["instance"] for alert in reading.alerts] == ["localhost:8081"]
    assert [one.error.split(":")[0] for one in reading.bad] == [field]


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
        read(body)
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
def test_whatever_json_comes_it_is_read_or_named(said: Any) -> None:
    try:
        reading = read(json.dumps(said).encode())
    except BadPayload as error:
        assert error.field
    else:
        assert all(one.error for one in reading.bad)
