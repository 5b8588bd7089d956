"""Moments as people write them; what is not a moment is refused with what is allowed."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paramedic.text.units import moment

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("now", NOON),
        ("+1h 30m", datetime(2026, 1, 31, 13, 30, tzinfo=UTC)),
        ("-2d", datetime(2026, 1, 29, 12, 0, tzinfo=UTC)),
        (" 2026-01-31T22:00+01:00 ", datetime(2026, 1, 31, 21, 0, tzinfo=UTC)),
        ("2026-01-31 21:00Z", datetime(2026, 1, 31, 21, 0, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read(text: str, meant: datetime) -> None:
    assert moment(text, after=NOON) == meant


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-01-31T22:00", "names no time zone"),
        ("2026-02-30T22:00Z", "day is out of range"),
        ("22:00", "Invalid isoformat"),
        ("+soon", "is not a duration"),
        ("+999999999w", "not a moment"),
        ("", "not a moment"),
        ("0001-01-01T00:00+14:00", "not a moment"),
    ],
)
def test_what_is_no_moment_is_refused_with_what_is_allowed(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as said:
        moment(text, after=NOON)
    assert "write 2026-01-31T22:00+01:00" in str(said.value)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        assert moment(text, after=NOON).tzinfo is not None
    except ValueError as error:
        assert "is not a moment" in str(error)
