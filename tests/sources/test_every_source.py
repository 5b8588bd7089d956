"""What holds of every kind of sender that Paramedic ships: whatever is posted, a reading or a refusal, and nothing else."""

import json
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramedic.alerts.alert import Status
from paramedic.alerts.reading import BadPayload, Reading
from paramedic.alerts.severity_words import DEFAULT, Meaning
from paramedic.kinds.registry import Registry, Room

SOURCES = Registry().usable(Room.SOURCES)
EACH = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)

#: Values that senders' templates and languages put where another was meant.
ODD = st.sampled_from(
    [
        None,
        "",
        "null",
        "$HOSTNAME",
        "{{ host }}",
        0,
        -1,
        1e400,
        10**30,
        True,
        "0",
        "x" * 70_000,
        [],
        {},
        [[]],
        {"a": {}},
        "\x00\ud800",
    ]
)
VALUES = st.recursive(
    ODD | st.text(max_size=8) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _read(source: ModuleType, body: bytes) -> Reading | None:
    """The reading, or None where the body is refused; every alert of it can be stored and shown."""
    try:
        reading: Reading = source.read({"content-type": "application/json"}, body)
    except BadPayload:
        return None
    for alert in reading.alerts:
        json.dumps(alert.as_json())
        assert alert.name
        assert len(alert.fingerprint) == 32
        assert alert.starts_at.tzinfo is not None
    return reading


@EACH
def test_its_example_is_one_firing_alert_read_without_a_change(source: ModuleType) -> None:
    reading = source.read({"content-type": "application/json"}, source.EXAMPLE.encode())
    assert [(alert.status, alert.notes) for alert in reading.alerts] == [(Status.FIRING, ())]
    assert (reading.bad, reading.asides) == ((), ())
    assert reading.alerts[0].labels["alertname"] == reading.alerts[0].name


@EACH
def test_the_same_alert_twice_has_one_fingerprint(source: ModuleType) -> None:
    one, other = (source.read({}, source.EXAMPLE.encode()).alerts[0] for _ in range(2))
    assert one.fingerprint == other.fingerprint


@EACH
def test_no_json_is_a_body_that_is_refused_or_an_aside(source: ModuleType) -> None:
    for body in (b"", b"\xff\xfe", b"hello", b'{"a": ', b"[" * 100_000, b"," * 1_000_001):
        reading = _read(source, body)
        assert reading is None or (not reading.alerts and (reading.asides or reading.bad))


@EACH
@given(data=st.data())
def test_whatever_stands_in_a_field_is_read_or_refused(source: ModuleType, data: st.DataObject) -> None:
    body = _changed(json.loads(source.EXAMPLE), data)
    _read(source, json.dumps(body).encode("utf-8", "surrogatepass"))


@EACH
@given(value=VALUES)
def test_any_json_is_read_or_refused(source: ModuleType, value: Any) -> None:
    _read(source, json.dumps(value).encode("utf-8", "surrogatepass"))


@EACH
def test_a_template_that_was_not_filled_in_is_no_alert_of_a_made_up_name(source: ModuleType) -> None:
    template = getattr(source, "TEMPLATE", None)
    if template is None:
        return
    reading = _read(source, template.encode())
    assert reading is None or not any("$" in alert.name or "{{" in alert.name for alert in reading.alerts)


@EACH
def test_its_severities_are_words_of_ours(source: ModuleType) -> None:
    assert set(getattr(source, "SEVERITIES", {}).values()) <= {meaning.value for meaning in Meaning}
    assert all(DEFAULT.meaning(word) is Meaning(word) for word in getattr(source, "SEVERITIES", {}).values())


def _changed(value: Any, data: st.DataObject) -> Any:
    """The value with one thing in it replaced or taken out, at any depth."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 3)):
        key = data.draw(st.sampled_from(sorted(value)))
        if data.draw(st.booleans()):
            return {name: part for name, part in value.items() if name != key}
        return {**value, key: _changed(value[key], data)}
    if isinstance(value, list) and value and data.draw(st.integers(0, 3)):
        return [_changed(value[0], data), *value[1:]]
    return data.draw(VALUES)
