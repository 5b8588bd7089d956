"""Who has the shift when, and who stands in: no hole, no overlap, whatever the clocks do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from forms import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from paramedic.oncall.escalation import ONCALL
from paramedic.oncall.on_call import Oncall
from paramedic.oncall.oncall_file import parse_oncall
from paramedic.oncall.rotation import Override, Rotation
from paramedic.oncall.shifts import shifts, uncovered

GOOD = (Path(__file__).parents[2] / "runbooks" / "oncall.yaml").read_text()
ONCALL_FILE = parse_oncall(GOOD.replace("rotation:", "  eve: {name: Eve}\n\nrotation:", 1), "oncall.yaml")
MONDAY = datetime(2026, 2, 2, 8, 0, tzinfo=UTC)  # nine in Berlin; ada's week begins
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def with_overrides(*overrides: Override) -> Oncall:
    return replace(ONCALL_FILE, overrides=overrides)


def test_who_stands_in_has_the_shift_from_the_first_moment_to_before_the_last() -> None:
    oncall = with_overrides(Override("ben", MONDAY + DAY, MONDAY + 2 * DAY, "ada"))
    moment = timedelta(microseconds=1)
    edges = [MONDAY + DAY - moment, MONDAY + DAY, MONDAY + 2 * DAY - moment, MONDAY + 2 * DAY]
    assert [oncall.who(at) for at in edges] == ["ada", "ben", "ben", "ada"]
    person = oncall.person(ONCALL, MONDAY + DAY)
    assert person is not None
    assert person.id == "ben"


def test_the_newest_word_counts() -> None:
    oncall = with_overrides(
        Override("ben", MONDAY, MONDAY + 2 * DAY, "ada"), Override("eve", MONDAY + DAY, MONDAY + 3 * DAY, "ben")
    )
    assert [
        (shift.begins - MONDAY, shift.person, shift.by) for shift in shifts(oncall, MONDAY - DAY, MONDAY + 4 * DAY)
    ] == [
        (-DAY, "ben", None),
        (timedelta(0), "ben", "ada"),
        (DAY, "eve", "ben"),
        (3 * DAY, "ada", None),
    ]


def test_who_left_stands_in_for_nobody() -> None:
    assert with_overrides(Override("gone", MONDAY, MONDAY + DAY, "ada")).who(MONDAY) == "ada"


def test_a_shift_goes_on_where_nothing_changes() -> None:
    same = with_overrides(
        Override("ben", MONDAY, MONDAY + DAY, "ada"), Override("ben", MONDAY + DAY, MONDAY + 2 * DAY, "ada")
    )
    found = shifts(same, MONDAY, MONDAY + 2 * DAY)
    assert [(shift.begins, shift.ends) for shift in found] == [(MONDAY, MONDAY + 2 * DAY)]


def test_a_gap_is_nobody_or_somebody_without_a_way() -> None:
    early = datetime(2026, 1, 5, 7, 0, tzinfo=UTC)
    oncall = with_overrides(Override("eve", MONDAY, MONDAY + DAY, "ada"))
    assert [uncovered(oncall, shift) for shift in shifts(oncall, early, early + 2 * HOUR)] == [
        "nobody is on call",
        None,
    ]
    assert [uncovered(oncall, shift) for shift in shifts(oncall, MONDAY, MONDAY + 2 * DAY)] == [
        "eve has no way to be told",
        None,
    ]


@pytest.mark.parametrize(
    ("zone", "starts", "changes"),
    [
        # On 25 October 2026 two to three comes twice in Berlin: the turn changes at its first half past two, once.
        ("Europe/Berlin", "2026-10-24 02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        # On 29 March it does not come: the turn changes at half past three.
        ("Europe/Berlin", "2026-03-28 02:30", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        # In Santiago the clocks go from midnight to one, on 6 September.
        ("America/Santiago", "2026-09-05 00:00", datetime(2026, 9, 6, 4, 0, tzinfo=UTC)),
    ],
)
def test_a_turn_changes_once_whether_its_hour_comes_twice_or_not_at_all(
    zone: str, starts: str, changes: datetime
) -> None:
    daily = Rotation(zone, starts, DAY, ("a", "b", "c"))
    minutes = [daily.who(changes + timedelta(minutes=minute)) for minute in range(-180, 180)]
    assert minutes == ["a"] * 180 + ["b"] * 180
    assert daily.turns(changes - 3 * HOUR, changes + 3 * HOUR) == [changes]


@settings(max_examples=examples(60), deadline=None)
@given(
    zone=st.sampled_from(
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]
    ),
    hour=st.integers(0, 23),
    weekly=st.booleans(),
    begins=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    spans=st.lists(
        st.tuples(st.integers(0, 500), st.integers(1, 200), st.sampled_from(["ada", "ben", "eve"])), max_size=4
    ),
)
def test_the_schedule_is_what_every_moment_says(
    zone: str, hour: int, weekly: bool, begins: datetime, spans: list[tuple[int, int, str]]
) -> None:
    rotation = Rotation(zone, f"2026-01-05 {hour:02}:30", 7 * DAY if weekly else DAY, ("ada", "ben", "eve"))
    overrides = tuple(
        Override(who, begins + first * HOUR, begins + (first + long) * HOUR, "x") for first, long, who in spans
    )
    oncall = replace(ONCALL_FILE, rotation=rotation, overrides=overrides)
    ends = begins + 20 * DAY
    found = shifts(oncall, begins, ends)
    assert (found[0].begins, found[-1].ends) == (begins, ends)
    assert all(earlier.ends == other.begins for earlier, other in pairwise(found))
    for shift in found:
        assert shift.begins < shift.ends
        at = shift.begins
        while at < shift.ends:
            assert oncall.who(at) == shift.person
            at += 7 * HOUR
        assert oncall.who(shift.ends - timedelta(microseconds=1)) == shift.person
