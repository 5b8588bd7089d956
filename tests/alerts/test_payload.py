"""A sender's values: each is a text, a time, an object or nothing, and never an error."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from paramedic.alerts.payload import Fields, moment, parsed

AT = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


def _moment(value: Any) -> tuple[datetime | None, list[str]]:
    notes: list[str] = []
    return moment(parsed(json.dumps(value).encode(), "its sender"), "at", notes), notes


@pytest.mark.parametrize(
    "value",
    [
        1769851800,
        1769851800.0,
        "1769851800",
        1769851800000,
        "1769851800000",
        1769851800000000,
        1769851800000000000,
        "2026-01-31T09:30:00Z",
        "2026-01-31T09:30:00.000+0000",
        "2026-01-31T10:30:00+01:00",
        "2026-01-31T09:30:00.000000000Z",
        "2026-01-31 09:30:00 UTC",
        " 2026-01-31T09:30Z ",
    ],
)
def test_a_time_is_read_however_its_sender_writes_it(value: Any) -> None:
    assert _moment(value) == (AT, [])


def test_a_time_without_a_zone_is_utc_and_noted() -> None:
    assert _moment("2026-01-31 09:30:00") == (AT, ["at: names no time zone, taken as UTC"])


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "null",
        0,
        "0",
        -5,
        3,
        "0001-01-01T00:00:00Z",
        "soon",
        [],
        {},
        True,
        "17137asdasd",
        "2026-13-01T00:00:00Z",
        "9" * 400,
    ],
)
def test_what_is_no_time_is_none(value: Any) -> None:
    assert _moment(value) == (None, [])


@pytest.mark.parametrize("value", ["$HOSTNAME", "${HOST.NAME}", "{{ host }}", "{{#if x}}", "*alertFriendlyDuration*"])
def test_a_template_that_was_not_filled_in_is_nothing_and_said(value: str) -> None:
    fields = Fields({"host": value, "other": "web-1"})
    assert fields.text("host", "other") == "web-1"
    assert fields.notes == ["host: its sender's template was not filled in, left out"]


@pytest.mark.parametrize("value", [None, "null", "None", "undefined", "<nil>", " ", [], {}])
def test_what_senders_write_for_nothing_is_nothing(value: Any) -> None:
    fields = Fields({"host": value})
    assert (fields.text("host"), fields.notes) == ("", [])


def test_numbers_and_booleans_are_texts() -> None:
    fields = Fields(parsed(b'{"a": 9007199254740993, "b": true, "c": 1.50}', "its sender"))
    assert [fields.text(name) for name in "abc"] == ["9007199254740993", "true", "1.50"]


def test_a_field_of_another_type_is_empty() -> None:
    fields = Fields({"object": [], "list": {}, "inner": {"at": "soon"}})
    assert (bool(fields.fields("object")), fields.list("list"), Fields([1]).values) == (False, [], {})
    assert fields.fields("inner").moment("at") is None
    assert fields.notes == ["inner.at: no time, left out"]
