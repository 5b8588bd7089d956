"""Stretches of local time as people write them: `Fri 16:00 to Mon 08:00 Europe/Berlin`; once, each week or each year."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from whenever import Instant, PlainDateTime, TimeZoneNotFoundError, ZonedDateTime

from paramedic.text.units import within_reach

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_DAY = rf"(?:{'|'.join(_DAYS)})"
_SOME_DAYS = rf"{_DAY}(?:-{_DAY})?(?:, ?{_DAY}(?:-{_DAY})?)*"
_TIME = r"(?:(?:[01]\d|2[0-3]):[0-5]\d|24:00)"
_DATE = r"\d{4}-\d{2}-\d{2}"
_OF_YEAR = rf"\d{{1,2}} (?:{'|'.join(_MONTHS)})"
_ZONE = r"(?P<zone>[A-Za-z][A-Za-z0-9_+/-]*)"

#: By its kind, the form of a stretch before its zone.
_FORMS = {
    "times": rf"(?:(?P<days>{_SOME_DAYS}) )?(?P<first>{_TIME})(?: to |-)(?P<last>{_TIME})",
    "whole_days": rf"(?P<days>{_SOME_DAYS})",
    "week": rf"(?P<days>{_DAY}) (?P<first>{_TIME}) to (?P<until>{_DAY}) (?P<last>{_TIME})",
    "dates": rf"(?P<days>{_DATE})(?: (?P<first>{_TIME}))? to (?P<until>{_DATE})(?: (?P<last>{_TIME}))?",
    "year": rf"(?P<days>{_OF_YEAR})(?: (?P<first>{_TIME}))? to (?P<until>{_OF_YEAR})(?: (?P<last>{_TIME}))?",
}

#: What an author may write, for errors.
ALLOWED = (
    "write `Mon-Fri 08:00 to 18:00 Europe/Berlin`, `Sat, Sun Europe/Berlin`, `Fri 16:00 to Mon 08:00 Europe/Berlin`, "
    "`2026-12-20 to 2027-01-06 Europe/Berlin`, or `20 Dec to 6 Jan Europe/Berlin` for every year"
)

_PATTERN = f"^(?:{'|'.join(re.sub(r'[?]P<[a-z]+>', '?:', form) for form in _FORMS.values())}) [A-Za-z][A-Za-z0-9_+/-]*$"

#: No occurrence is longer than this, but one by dates or of a year, whose own bounds are looked at.
_WEEK = 8


@dataclass(frozen=True, slots=True)
class Stretch:
    """One occurrence, in local time; `ends` is exclusive."""

    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class LocalSpan:
    """A stretch of local time in a zone: once, on days of the week, or each year.

    A local time that the clocks skip, or show twice, is read in two ways: `widest` makes the stretch as long as it can be,
    and otherwise it is as short as it can be. Whoever asks takes the one that permits less.
    """

    text: str  # as its author wrote it
    zone: str
    every: Literal["once", "week", "year"]
    days: frozenset[int]  # of the week, on which it begins; from Monday, 0
    begins: datetime  # local; of a week or year only the time, or the time and the day of the year, counts
    lasts: int  # in a week: how many days later it ends
    ends: datetime

    def covering(self, at: datetime, *, widest: bool) -> Stretch | None:
        """The occurrence that the moment lies in, in UTC; None where it lies in none."""
        return next((span for span in self._around(at, widest=widest) if span.begins <= at < span.ends), None)

    def next_after(self, at: datetime) -> datetime | None:
        """When it begins next, in UTC; None where it never does again."""
        later = [span.begins for span in self._around(at, widest=False) if span.begins > at and span.begins < span.ends]
        return min(later, default=None)

    def _around(self, at: datetime, *, widest: bool) -> Iterator[Stretch]:
        """Each occurrence that may touch the moment, or is the next one after it."""
        today = Instant(at.astimezone(UTC)).to_tz(self.zone).to_plain().to_stdlib().date()
        for local in self._local(today):
            begins = self._moment(local.begins, earlier=widest)
            ends = self._moment(local.ends, earlier=not widest)
            yield Stretch(begins, ends)

    def _local(self, today: date) -> Iterator[Stretch]:
        match self.every:
            case "once":
                yield Stretch(self.begins, self.ends)
            case "year":
                crosses = self.ends <= self.begins  # the turn of the year
                for year in range(today.year - 1, today.year + 2):
                    ends = self.ends.replace(year=self.ends.year - self.begins.year + year + crosses)
                    yield Stretch(self.begins.replace(year=year), ends)
            case "week":
                for away in range(-_WEEK, _WEEK + 1):
                    day = today + timedelta(days=away)
                    if day.weekday() in self.days:
                        until = day + timedelta(days=self.lasts)
                        yield Stretch(
                            datetime.combine(day, self.begins.time()), datetime.combine(until, self.ends.time())
                        )

    def _moment(self, local: datetime, *, earlier: bool) -> datetime:
        plain = PlainDateTime.parse_iso(local.isoformat())
        read = plain.assume_tz(self.zone, disambiguate="earlier" if earlier else "later")
        return read.to_instant().to_stdlib()


def known_zone(name: str) -> str:
    """The name of a time zone. Raises ValueError where there is none of this name."""
    try:
        ZonedDateTime.now(name)
    except (TimeZoneNotFoundError, ValueError) as error:
        raise ValueError(f"there is no zone {name!r:.80}; write one such as Europe/Berlin, or UTC") from error
    return name


def parse(text: object) -> LocalSpan:
    """The stretch that the text means. Raises ValueError, saying what is allowed."""
    if not isinstance(text, str):
        raise ValueError(ALLOWED)  # noqa: TRY004 - pydantic reports ValueError as a problem
    words = " ".join(text.split())
    for kind, form in _FORMS.items():
        found = re.fullmatch(rf"{form} {_ZONE}", words, re.IGNORECASE)
        if found is not None:
            zone = known_zone(found["zone"])
            return _KINDS[kind](words, zone, {name: part or "" for name, part in found.groupdict().items()})
        if re.fullmatch(form, words, re.IGNORECASE):
            raise ValueError(f"{words!r:.80} names no time zone: write `{words} Europe/Berlin`")
    raise ValueError(f"{words!r:.80} is no stretch of time; {ALLOWED}")


_Parts = dict[str, str]

#: Of a stretch that is not once; a leap year holds every day of a year.
_ANY_DAY = date(2000, 1, 1)


def _times(text: str, zone: str, parts: _Parts) -> LocalSpan:
    days = _some_days(parts["days"]) if parts["days"] else frozenset(range(7))
    return _weekly(text, zone, days, 0, parts)


def _whole_days(text: str, zone: str, parts: _Parts) -> LocalSpan:
    return _weekly(text, zone, _some_days(parts["days"]), 0, {"first": "00:00", "last": "24:00"})


def _week(text: str, zone: str, parts: _Parts) -> LocalSpan:
    first, last = _day(parts["days"]), _day(parts["until"])
    return _weekly(text, zone, frozenset({first}), (last - first) % 7, parts, turn=7)


def _weekly(  # noqa: PLR0917 - what was read
    text: str, zone: str, days: frozenset[int], lasts: int, parts: _Parts, turn: int = 1
) -> LocalSpan:
    """One that ends no later than it begins ends a `turn` of days later."""
    (begins, more), (ends, days_more) = _time(parts["first"]), _time(parts["last"])
    if more:
        raise ValueError(f"{text!r:.80} begins at 24:00; write 00:00 of the next day")
    lasts += days_more
    if lasts == 0 and ends == begins:
        raise ValueError(f"{text!r:.80} ends when it begins; write the days without times for whole days")
    if lasts == 0 and ends < begins:
        lasts = turn
    return LocalSpan(
        text, zone, "week", days, datetime.combine(_ANY_DAY, begins), lasts, datetime.combine(_ANY_DAY, ends)
    )


def _dates(text: str, zone: str, parts: _Parts) -> LocalSpan:
    try:
        begins, ends = map(within_reach, _bounds(date.fromisoformat, parts))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r:.80}: {error}") from error
    if ends <= begins:
        raise ValueError(f"{text!r:.80} ends before it begins")
    return LocalSpan(text, zone, "once", frozenset(), begins, 0, ends)


def _year(text: str, zone: str, parts: _Parts) -> LocalSpan:
    begins, ends = _bounds(_day_of_year, parts)
    return LocalSpan(text, zone, "year", frozenset(), begins, 0, ends)


def _bounds(read: Callable[[str], date], parts: _Parts) -> tuple[datetime, datetime]:
    """Without times it is whole days, the last one too."""
    begins, more = _time(parts["first"] or "00:00")
    ends, days_more = _time(parts["last"] or "24:00")
    first, last = read(parts["days"]), read(parts["until"])
    return datetime.combine(first, begins) + timedelta(days=more), datetime.combine(last, ends) + timedelta(
        days=days_more
    )


_KINDS: dict[str, Callable[[str, str, _Parts], LocalSpan]] = {
    "times": _times,
    "whole_days": _whole_days,
    "week": _week,
    "dates": _dates,
    "year": _year,
}


def _day(name: str) -> int:
    return _DAYS.index(name.capitalize())


def _some_days(text: str) -> frozenset[int]:
    """`Mon-Fri, Sun`, as numbers; a range may go over the end of the week."""
    found: set[int] = set()
    for part in re.split(r", ?", text):
        first, _, last = part.partition("-")
        begin = _day(first)
        found.update((begin + away) % 7 for away in range((_day(last or first) - begin) % 7 + 1))
    return frozenset(found)


def _day_of_year(text: str) -> date:
    number, month = text.split()
    at = _MONTHS.index(month.capitalize()) + 1
    if (int(number), at) == (29, 2):
        raise ValueError("29 Feb is not in every year: write 28 Feb or 1 Mar")
    try:
        return date(2001, at, int(number))
    except ValueError as error:
        raise ValueError(f"there is no {text}") from error


def _time(text: str) -> tuple[time, int]:
    """The time of day, and how many days later it is: 24:00 is 00:00 of the next."""
    return (time(0), 1) if text == "24:00" else (time.fromisoformat(text), 0)


def _one_or_many(value: object) -> object:
    spans = value if isinstance(value, list) else [value]
    if not spans:
        raise ValueError(f"names nothing; {ALLOWED}")
    return tuple(span if isinstance(span, LocalSpan) else parse(span) for span in spans)


_TEXT = Annotated[str, Field(pattern=_PATTERN)]

#: A field that people write as one stretch or a list of them.
WrittenSpans = Annotated[
    tuple[LocalSpan, ...],
    BeforeValidator(_one_or_many, json_schema_input_type=_TEXT | Annotated[list[_TEXT], Field(min_length=1)]),
]
