"""Bounds and the state that follows from samples, at any order of values, gaps and blindness."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramedic.checks.threshold import CheckState, Level, Threshold, after, begin
from paramedic.text.quantity import Unit, quantity

NINE = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
GAP = timedelta(minutes=5)
LATENCY = Threshold("latency_p95", Unit.SECONDS, 0.2, 0.3, held_for=60 * SECOND, hysteresis=0.1)
EXPIRY = Threshold("expires_in", Unit.SECONDS, 21.0, 7.0, held_for=timedelta(0), hysteresis=0.1, below=True)


def state_after(threshold: Threshold, *values: float | None, every: timedelta = 15 * SECOND) -> CheckState:
    """Where it stands after these values, one `every` so often."""
    standing, at = begin(NINE), NINE
    for value in values:
        at += every
        standing = after(threshold, standing, at, value, gap=GAP)
    return standing


def test_before_the_first_sample_nothing_is_known() -> None:
    assert begin(NINE).level is Level.UNKNOWN
    assert state_after(LATENCY, 0.1).level is Level.OK


def test_a_bound_must_be_passed_for_its_time_without_a_break() -> None:
    assert state_after(LATENCY, 0.25, 0.25, 0.25, 0.25).level is Level.OK, "45 s are not a minute"
    assert state_after(LATENCY, *[0.25] * 5).level is Level.WARNING
    assert state_after(LATENCY, 0.25, 0.25, 0.1, 0.25, 0.25, 0.25).level is Level.OK, "the break begins it anew"
    assert state_after(LATENCY, *[0.35] * 5).level is Level.CRITICAL


def test_time_over_the_higher_bound_counts_for_the_lower_one_and_not_the_other_way() -> None:
    assert state_after(LATENCY, 0.25, 0.25, 0.25, 0.35, 0.35).level is Level.WARNING
    assert state_after(LATENCY, 0.25, 0.25, 0.25, 0.35, 0.35, 0.35, 0.35, 0.35).level is Level.CRITICAL


def test_a_value_that_comes_back_by_a_hair_ends_nothing() -> None:
    broken = [0.35] * 5
    assert state_after(LATENCY, *broken, 0.28).level is Level.CRITICAL
    assert state_after(LATENCY, *broken, 0.26).level is Level.WARNING
    assert state_after(LATENCY, *broken, 0.19).level is Level.WARNING
    assert state_after(LATENCY, *broken, 0.17).level is Level.OK
    assert state_after(LATENCY, 0.19, 0.19, 0.19, 0.19, 0.19).level is Level.OK, (
        "inside the bound is inside, until it was passed"
    )


def test_below_is_the_other_way_round() -> None:
    assert state_after(EXPIRY, 30).level is Level.OK
    assert state_after(EXPIRY, 20).level is Level.WARNING
    assert state_after(EXPIRY, 7).level is Level.CRITICAL
    assert state_after(EXPIRY, -3).level is Level.CRITICAL, "it has run out"
    assert state_after(EXPIRY, 20, 22).level is Level.WARNING
    assert state_after(EXPIRY, 20, 90).level is Level.OK


def test_a_look_that_sees_nothing_is_unknown_and_ends_nothing() -> None:
    broken = [0.35] * 5
    standing = state_after(LATENCY, *broken, None)
    assert (standing.level, standing.known, standing.breached) == (Level.UNKNOWN, Level.CRITICAL, True)
    assert state_after(LATENCY, *broken, None, 0.35).level is Level.CRITICAL
    assert state_after(LATENCY, *broken, None, 0.1).level is Level.OK


def test_what_was_not_yet_reached_begins_anew_after_a_look_that_saw_nothing_and_after_a_gap() -> None:
    assert state_after(LATENCY, 0.25, 0.25, 0.25, None, 0.25, 0.25).level is Level.OK
    standing = state_after(LATENCY, 0.25)
    late = after(LATENCY, standing, standing.sampled_at + timedelta(hours=1), 0.25, gap=GAP)
    assert late.level is Level.OK, "nobody has looked for an hour"


def test_a_sample_from_before_the_last_one_changes_nothing() -> None:
    standing = state_after(LATENCY, *[0.35] * 5)
    assert after(LATENCY, standing, NINE, 0.1, gap=GAP) is standing


def test_a_breach_began_with_its_first_value_past_the_bound() -> None:
    assert state_after(LATENCY, 0.1, *[0.25] * 5, 0.35).began_at() == NINE + 30 * SECOND


@pytest.mark.parametrize(
    ("warning", "critical", "below"), [(0.3, 0.2, False), (7.0, 21.0, True), (None, None, False)], ids=str
)
def test_bounds_that_nobody_can_mean_are_refused(warning: float | None, critical: float | None, below: bool) -> None:
    with pytest.raises(ValueError, match="warning"):
        Threshold("m", Unit.SECONDS, warning, critical, timedelta(0), 0.1, below)


@pytest.mark.parametrize(
    ("text", "units", "value", "unit"),
    [
        ("200ms", (Unit.SECONDS,), 0.2, Unit.SECONDS),
        ("21d", (Unit.SECONDS,), 21 * 86_400, Unit.SECONDS),
        ("3%", (Unit.PERCENT,), 3, Unit.PERCENT),
        ("0.5 %", (Unit.PERCENT,), 0.5, Unit.PERCENT),
        ("1500MB", (Unit.BYTES, Unit.PERCENT), 1.5e9, Unit.BYTES),
        ("80%", (Unit.BYTES, Unit.PERCENT), 80, Unit.PERCENT),
        ("1200", (Unit.COUNT,), 1200, Unit.COUNT),
        ("0.5", (Unit.COUNT, Unit.PERCENT), 0.5, Unit.COUNT),
        ("5%", (Unit.COUNT, Unit.PERCENT), 5, Unit.PERCENT),
    ],
)
def test_units_are_as_people_write_them(text: str, units: tuple[Unit, ...], value: float, unit: Unit) -> None:
    assert quantity(text, units) == (value, unit)


@pytest.mark.parametrize(
    ("written", "units", "allowed"),
    [
        ("200", (Unit.SECONDS,), "200ms, 5s"),
        (200, (Unit.SECONDS,), "has no unit"),
        ("3", (Unit.PERCENT,), "3%, 0.5%"),
        ("-3%", (Unit.PERCENT,), "3%, 0.5%"),
        ("3%", (Unit.COUNT,), "write a number: 3, 0.5, 1200"),
        ("-3", (Unit.COUNT,), "write a number"),
        ("1e9", (Unit.COUNT,), "write a number"),
        ("much", (Unit.BYTES, Unit.PERCENT), "1500MB, 1.5GiB or write a percentage"),
    ],
)
def test_a_number_without_its_unit_is_refused_with_what_is_allowed(
    written: object, units: tuple[Unit, ...], allowed: str
) -> None:
    with pytest.raises(ValueError, match=allowed):
        quantity(written, units)


def test_values_are_spoken_as_they_are_written() -> None:
    assert [Unit.SECONDS.spoken(value) for value in (0.31, 5, 21 * 86_400.0, 0)] == ["310ms", "5s", "21d", "0ms"]
    assert [Unit.PERCENT.spoken(value) for value in (3, 0.5, 100)] == ["3%", "0.5%", "100%"]
    assert [Unit.BYTES.spoken(value) for value in (1.5e9, 1.5e6, 12)] == ["1.5GB", "1.5MB", "12B"]
    assert [Unit.COUNT.spoken(value) for value in (1200.0, 3, 2.5, 0.005, 0)] == ["1200", "3", "2.5", "0.005", "0"]


VALUES = st.one_of(st.none(), st.floats(0, 1, allow_nan=False))
SAMPLES = st.lists(st.tuples(VALUES, st.integers(0, 400)), max_size=40)


@given(SAMPLES)
def test_a_level_is_reached_only_by_values_past_its_bound_for_its_whole_time(
    samples: list[tuple[float | None, int]],
) -> None:
    standing, at = begin(NINE), NINE
    past: datetime | None = None  # since when every value was seen, in time, and past the bound
    last = NINE
    for value, seconds in samples:
        at += seconds * SECOND
        before = standing
        standing = after(LATENCY, standing, at, value, gap=GAP)
        if value is None or value < 0.3:
            past = None
        elif past is None or at - last > GAP:
            past = at
        last = at
        reached = before.known is not Level.CRITICAL and standing.known is Level.CRITICAL
        due = past is not None and at - past >= LATENCY.held_for
        assert reached == (due and before.known is not Level.CRITICAL)
        assert (standing.level is Level.UNKNOWN) == (value is None)
        if standing.known is Level.OK and before.breached:
            assert value is not None
            assert value < 0.2 * 0.9


@given(SAMPLES)
def test_blindness_never_changes_what_is_known(samples: list[tuple[float | None, int]]) -> None:
    standing, at = begin(NINE), NINE
    for value, seconds in samples:
        at += seconds * SECOND
        standing = after(LATENCY, standing, at, value, gap=GAP)
        blind = after(LATENCY, standing, at + SECOND, None, gap=GAP)
        assert (blind.known, blind.since, blind.level) == (standing.known, standing.since, Level.UNKNOWN)
