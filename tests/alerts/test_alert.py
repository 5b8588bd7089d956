"""An alert survives the way through JSON, and the same labels are the same alert."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint

words = st.text(max_size=20)
labels = st.dictionaries(words, words, max_size=5)
moments = st.datetimes(
    min_value=datetime(1970, 1, 2),  # noqa: DTZ001 - hypothesis asks for naive bounds
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=11))]),
)
alerts = st.builds(
    Alert,
    source=words,
    name=words,
    severity=st.sampled_from(Severity),
    status=st.sampled_from(Status),
    starts_at=moments,
    fingerprint=words,
    labels=labels,
    annotations=labels,
    ends_at=st.none() | moments,
    value=st.none() | words,
)


@given(alerts)
def test_an_alert_comes_back_from_json_as_it_went(alert: Alert) -> None:
    assert Alert.from_json(json.loads(json.dumps(alert.as_json()))) == alert


@given(labels)
def test_the_order_of_labels_changes_no_fingerprint(given_labels: dict[str, str]) -> None:
    assert fingerprint("a", given_labels) == fingerprint("a", dict(reversed(given_labels.items())))


@given(labels, labels)
def test_other_labels_have_another_fingerprint(one: dict[str, str], other: dict[str, str]) -> None:
    assert (fingerprint("a", one) == fingerprint("a", other)) == (one == other)


def test_a_separator_inside_a_label_makes_no_two_alerts_one() -> None:
    assert fingerprint("a", {"k": "v\x1eother\x1fvalue"}) != fingerprint("a", {"k": "v", "other": "value"})


def test_another_source_has_another_fingerprint() -> None:
    assert fingerprint("a", {"k": "v"}) != fingerprint("b", {"k": "v"})


def test_a_lone_surrogate_has_a_fingerprint() -> None:
    assert fingerprint("a", {"k": "\ud800"}) != fingerprint("a", {"k": "\ud801"})


@pytest.mark.parametrize(
    "change", [{"severity": "fatal"}, {"status": "unsure"}, {"starts_at": "2026-01-31T09:30:00"}, {"starts_at": "soon"}]
)
def test_what_is_no_alert_is_refused(change: dict[str, str]) -> None:
    written = Alert(
        "alertmanager", "Slow", Severity.WARNING, Status.FIRING, datetime(2026, 1, 31, tzinfo=UTC), "f"
    ).as_json()
    with pytest.raises(ValueError, match=r"."):
        Alert.from_json(written | change)
