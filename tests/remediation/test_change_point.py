"""Since when a metric is worse: steps, spikes, ramps, ties and too few values."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramedic.remediation.change_point import Shift, Value, worsened

NINE = datetime(2026, 1, 31, 9, tzinfo=UTC)


def looks(*numbers: float) -> list[Value]:
    return [(NINE + timedelta(seconds=15 * at), float(number)) for at, number in enumerate(numbers)]


def at_look(shift: Shift | None) -> int | None:
    return None if shift is None else round((shift.first_after - NINE).total_seconds() / 15)


def test_a_step_is_found_where_it_is_with_both_medians() -> None:
    shift = worsened(looks(110, 120, 118, 125, 119, 121, 117, 340, 360, 335, 350), below=False)
    assert shift is not None
    assert (at_look(shift), shift.before, shift.after) == (7, 119, 345)
    assert (shift.looks_before, shift.looks_after) == (7, 4)
    assert shift.first_after - shift.last_before == timedelta(seconds=15)


@pytest.mark.parametrize(
    ("numbers", "found"),
    [
        ([0] * 40 + [1] * 5, 40),  # a baseline of nothing at all, which other judges cannot compare with
        ([0] * 5 + [1] * 3, 5),
        ([0] * 4 + [1] * 9, None),  # too few before it
        ([0] * 40 + [1] * 2, None),  # too few since: perhaps a spike
        ([0] * 20 + [900] + [0] * 20, None),  # a spike
        ([0] * 20 + [900] + [0] * 20 + [50] * 8, 41),  # the spike is not the change
        ([7] * 60, None),
        ([1] * 40 + [0] * 20, None),  # to the better
        ([], None),
    ],
)
def test_what_is_a_change_to_the_worse(numbers: list[float], found: int | None) -> None:
    assert at_look(worsened(looks(*numbers), below=False)) == found


def test_of_what_is_bad_when_it_is_small_a_fall_is_the_change() -> None:
    assert at_look(worsened(looks(*[40] * 20, *[3] * 6), below=True)) == 20
    assert worsened(looks(*[3] * 20, *[40] * 6), below=True) is None


@pytest.mark.parametrize(("flat", "ramp"), [(40, 40), (10, 120), (200, 12)])
def test_what_becomes_worse_little_by_little_is_dated_by_its_first_step(flat: int, ramp: int) -> None:
    """A leak; and the share of errors in a window, which grows while the window fills."""
    leak = looks(*[100, 101] * (flat // 2), *range(102, 102 + ramp))
    assert at_look(worsened(leak, below=False)) == flat
    share = looks(*[0] * flat, 25, 50, 75, *[100] * ramp)
    assert at_look(worsened(share, below=False)) == flat


def test_a_ramp_from_the_first_value_on_has_no_beginning() -> None:
    assert worsened(looks(*range(60)), below=False) is None


@given(st.lists(st.floats(0, 1e6), max_size=60), st.integers(5, 40), st.integers(3, 20))
def test_a_clear_step_is_found_after_any_past_that_is_below_it(past: list[float], before: int, after: int) -> None:
    values = looks(*[*past, *[10.0] * before], *[2e6] * max(after, 5))
    shift = worsened(values, below=False)
    assert shift is not None
    assert shift.last_before < shift.first_after
    assert shift.looks_before + shift.looks_after == len(values)
