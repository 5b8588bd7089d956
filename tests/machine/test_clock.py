"""Moments and spans are spelled one way, and read back as they were."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramedic.machine.clock import boottime, from_iso, iso, spoken, utc_now
from paramedic.text.units import between

EAST = timezone(timedelta(hours=5, minutes=30))
moments = st.datetimes(timezones=st.sampled_from([UTC, EAST]), min_value=datetime(2, 1, 1))  # noqa: DTZ001


@given(moments)
def test_a_moment_comes_back_as_it_went(moment: datetime) -> None:
    assert from_iso(iso(moment)) == moment


@given(moments, moments)
def test_moments_sort_as_their_spelling_does(one: datetime, other: datetime) -> None:
    assert (iso(one) < iso(other)) == (one < other)


@pytest.mark.parametrize("text", ["", "soon", "2026-01-31T09:30:00", "2026-01-31", "0001-01-01T00:00:00+05:00"])
def test_a_moment_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_iso(text)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(0), "0ms"),
        (timedelta(milliseconds=250), "250ms"),
        (timedelta(milliseconds=999.9), "1s"),
        (timedelta(seconds=3), "3s"),
        (timedelta(seconds=1.55), "1.6s"),
        (timedelta(seconds=59.97), "1m"),
        (timedelta(seconds=90), "1m 30s"),
        (timedelta(hours=2), "2h"),
        (timedelta(days=1, seconds=1), "24h 1s"),
        (timedelta(seconds=-90), "-1m 30s"),
    ],
)
def test_a_span_is_written_as_people_write_it(span: timedelta, words: str) -> None:
    assert spoken(span) == words


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400)))
def test_what_is_spoken_can_be_written_in_a_runbook(span: timedelta) -> None:
    assert abs(between("0ms", "36500d")(spoken(span)) - span) <= max(timedelta(milliseconds=0.6), span * 0.05)


def test_the_steady_clock_goes_on_and_the_wall_clock_knows_its_zone() -> None:
    before = boottime()
    time.sleep(0.002)
    assert boottime() > before
    assert utc_now().utcoffset() == timedelta(0)
