"""Durations, moments and sizes as people write them: `1h 30m`, `+2h`, `150MB`, each with its allowed range.

A value out of range is refused where it is written: a duration that no clock or column can hold would fail where it is
used, in the middle of an incident.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from paramedic.machine.clock import from_iso, spoken

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s?(ms|[smhdw])")
#: Whether a text is a duration or a size by its form alone.
SPAN = re.compile(rf"\s*(?:{_PART.pattern}\s*){{1,6}}")
SPAN_PATTERN = rf"^{SPAN.pattern}$"
_SIZES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
SIZE = re.compile(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s?(B|kB|MB|GB|KiB|MiB|GiB)\s*")
SIZE_PATTERN = rf"^{SIZE.pattern}$"

#: Plausible moments are between these years: beyond them, time zones and calendars end.
_YEARS = (1970, 2200)


@dataclass(frozen=True, slots=True)
class Between:
    """Parses a duration within these bounds; a timedelta is accepted as one."""

    least: timedelta
    most: timedelta

    def __call__(self, value: object) -> timedelta:
        """Raises ValueError, saying what is allowed."""
        if isinstance(value, timedelta):
            span, words = value, spoken(value) or "0s"
        elif isinstance(value, str) and SPAN.fullmatch(value):
            seconds = sum(float(count) * _UNITS[unit] for count, unit in _PART.findall(value))
            # compared before it is made: a timedelta holds no more than 999,999,999 days
            span = timedelta(seconds=seconds) if seconds <= self.most.total_seconds() else timedelta.max
            words = repr(value[:80])
        elif isinstance(value, str):
            raise ValueError(f"{value!r:.80} is not a duration; write 250ms, 5s, 10m, 1h 30m, 2d")
        else:  # YAML reads `timeout: 10` as a number, and so does TOML
            raise ValueError(f"{value!r:.80} is not a duration: it has a unit; write 250ms, 5s, 10m, 1h 30m, 2d")
        if not self.least <= span <= self.most:
            wrong = "long" if span > self.most else "short"
            raise ValueError(f"{words} is too {wrong}; allowed: {self.words}")
        return span

    def json_schema(self) -> dict[str, Any]:
        """Its form, for editors."""
        return {"type": "string", "pattern": SPAN_PATTERN, "examples": [_days(self.most)]}

    @property
    def words(self) -> str:
        """`from 1s to 7d`."""
        return f"from {_days(self.least)} to {_days(self.most)}"


def between(least: str, most: str) -> Between:
    """The range between two durations, as people write them."""
    everything = Between(timedelta(0), timedelta(days=36_500))
    return Between(everything(least), everything(most))


def duration(least: str, most: str) -> BeforeValidator:
    """What makes `Annotated[timedelta, …]` a field that people write as a duration of that range: `5s`, `1h 30m`."""
    return BeforeValidator(between(least, most), json_schema_input_type=Annotated[str, Field(pattern=SPAN_PATTERN)])


def _days(span: timedelta) -> str:
    return f"{span.days}d" if span >= timedelta(days=1) and span == timedelta(days=span.days) else spoken(span) or "0s"


#: How far from now a moment may be that is written as `+2h` or `-2h`.
_AWAY = between("0s", "3650d")


def moment(text: str, *, after: datetime) -> datetime:
    """The moment in the text: `now`, an offset from `after` (`+2h`, `-2h`), or ISO 8601 with its zone.

    Raises ValueError, saying what is allowed.
    """
    stripped = text.strip()
    if stripped == "now":
        return after
    try:
        if stripped[:1] in ("+", "-"):
            return after + _AWAY(stripped[1:]) if stripped[0] == "+" else after - _AWAY(stripped[1:])
        return within_reach(from_iso(stripped))
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{text!r:.80} is not a moment ({error}); write 2026-01-31T22:00+01:00, 2026-01-31T21:00Z, now, +2h"
        ) from error


def within_reach(at: datetime) -> datetime:
    """The moment, if its year is a plausible one. Raises ValueError, saying which are."""
    least, most = (datetime(year, 1, 1, tzinfo=UTC if at.tzinfo else None) for year in _YEARS)
    if not least <= at < most:
        raise ValueError(f"its year is not from {_YEARS[0]} to {_YEARS[1] - 1}")
    return at


@dataclass(frozen=True, slots=True)
class SizeBetween:
    """Parses a size within these bounds, in bytes."""

    least: int
    most: int

    def field(self) -> BeforeValidator:
        """What makes `Annotated[int, …]` a field that people write as a size of that range: `150MB`."""
        return BeforeValidator(self, json_schema_input_type=Annotated[str, Field(pattern=SIZE_PATTERN)])

    def __call__(self, value: object) -> int:
        """Raises ValueError, saying what is allowed."""
        found = SIZE.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise ValueError(f"{value!r:.80} is not a size; write 512kB, 150MB, 1.5GiB")
        size = round(float(found[1]) * _SIZES[found[2]])
        if not self.least <= size <= self.most:
            wrong = "large" if size > self.most else "small"
            raise ValueError(f"{value!r:.80} is too {wrong}; allowed: from {_bytes(self.least)} to {_bytes(self.most)}")
        return size


def _bytes(count: int) -> str:
    units = (unit for unit in ("GB", "MB", "kB") if count and count % _SIZES[unit] == 0)
    unit = next(units, "B")
    return f"{count // _SIZES[unit]}{unit}"
