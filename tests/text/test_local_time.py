"""Moments as their reader has them."""

from datetime import UTC, datetime, timedelta

import pytest

from paramedic.text.local_time import LocalTime, ago

AT = datetime(2026, 7, 31, 22, 30, 5, tzinfo=UTC)


def test_a_moment_is_in_the_zone_and_names_it() -> None:
    assert LocalTime("Europe/Berlin").moment(AT) == "Sat 01 Aug 2026 00:30:05 CEST"
    assert LocalTime("Europe/Berlin").name(AT) == "CEST, UTC+02:00"
    assert LocalTime("Asia/Kolkata").name(AT) == "IST, UTC+05:30"
    assert LocalTime().name(AT) == "UTC"


def test_winter_and_summer_are_told_apart() -> None:
    assert LocalTime("Europe/Berlin").name(AT - timedelta(days=180)) == "CET, UTC+01:00"


@pytest.mark.parametrize("zone", ["Nowhere/None", "../etc/passwd", "\0"])
def test_a_zone_that_this_machine_does_not_know_is_utc(zone: str) -> None:
    assert LocalTime(zone).moment(AT) == "Fri 31 Jul 2026 22:30:05 UTC"


def test_another_day_is_named() -> None:
    berlin = LocalTime("Europe/Berlin")
    assert berlin.day_and_clock(AT, near=AT + timedelta(hours=1)) == "00:30:05"
    assert berlin.day_and_clock(AT - timedelta(hours=1), near=AT) == "Fri 31 Jul 23:30:05"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0s"), (16.8, "17s"), (250, "4m 10s"), (7531, "2h 6m"), (86400 * 3, "3 days"), (0.2, "0s")],
)
def test_how_long_ago_has_no_more_detail_than_a_reader_needs(seconds: float, words: str) -> None:
    assert ago(timedelta(seconds=seconds)) == words
