"""Stretches of local time: what authors write is read as they mean it, also where clocks skip an hour or show it twice."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from paramedic.text.local_span import LocalSpan, Stretch, WrittenSpans, parse


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def covers(text: str, at: str, *, widest: bool = False) -> bool:
    return parse(text).covering(utc(at), widest=widest) is not None


#: A stretch, a moment in UTC, and whether the moment lies in it. In January Berlin is an hour ahead of UTC.
MOMENTS = [
    ("08:00 to 18:00 Europe/Berlin", "2026-01-31 07:00", True),
    ("08:00 to 18:00 Europe/Berlin", "2026-01-31 06:59:59.999999", False),
    ("08:00 to 18:00 Europe/Berlin", "2026-01-31 16:59:59", True),
    ("08:00 to 18:00 Europe/Berlin", "2026-01-31 17:00", False),
    ("08:00-18:00 UTC", "2026-01-31 17:00", True),
    ("08:00 to 24:00 UTC", "2026-01-31 23:59", True),
    ("08:00 to 24:00 UTC", "2026-02-01 00:00", False),
    ("22:00 to 06:00 Europe/Berlin", "2026-01-31 23:00", True),
    ("22:00 to 06:00 Europe/Berlin", "2026-01-31 04:59", True),
    ("22:00 to 06:00 Europe/Berlin", "2026-01-31 05:00", False),
    ("Mon-Fri 08:00 to 18:00 Europe/Berlin", "2026-01-30 12:00", True),  # a Friday
    ("Mon-Fri 08:00 to 18:00 Europe/Berlin", "2026-01-31 12:00", False),
    ("Fri 22:00 to 06:00 UTC", "2026-01-31 05:59", True),  # begun on Friday
    ("Fri 22:00 to 06:00 UTC", "2026-01-30 05:59", False),
    ("Mon, Wed-Thu 08:00 to 09:00 UTC", "2026-01-28 08:00", True),
    ("Mon, Wed-Thu 08:00 to 09:00 UTC", "2026-01-27 08:00", False),
    ("Sat-Mon 08:00 to 09:00 UTC", "2026-02-02 08:30", True),  # over the end of the week
    ("Sat, Sun Europe/Berlin", "2026-01-30 23:00", True),
    ("Sat, Sun Europe/Berlin", "2026-02-01 22:59", True),
    ("Sat, Sun Europe/Berlin", "2026-02-01 23:00", False),
    ("Fri 16:00 to Mon 08:00 Europe/Berlin", "2026-01-30 15:00", True),
    ("Fri 16:00 to Mon 08:00 Europe/Berlin", "2026-01-30 14:59", False),
    ("Fri 16:00 to Mon 08:00 Europe/Berlin", "2026-02-02 06:59", True),
    ("Fri 16:00 to Mon 08:00 Europe/Berlin", "2026-02-02 07:00", False),
    ("Mon 16:00 to Mon 08:00 UTC", "2026-02-02 12:00", False),  # nearly a week, but this
    ("Mon 16:00 to Mon 08:00 UTC", "2026-02-02 07:59", True),
    ("2026-12-20 to 2027-01-06 Europe/Berlin", "2026-12-19 23:00", True),
    ("2026-12-20 to 2027-01-06 Europe/Berlin", "2027-01-06 22:59", True),  # the last day too
    ("2026-12-20 to 2027-01-06 Europe/Berlin", "2027-01-06 23:00", False),
    ("2026-12-20 to 2027-01-06 Europe/Berlin", "2027-12-25 12:00", False),
    ("2026-12-20 18:00 to 2027-01-02 08:00 UTC", "2026-12-20 17:59", False),
    ("2026-12-20 18:00 to 2027-01-02 08:00 UTC", "2027-01-02 07:59", True),
    ("20 Dec to 6 Jan Europe/Berlin", "2031-12-19 23:00", True),
    ("20 Dec to 6 Jan Europe/Berlin", "2032-01-06 22:59", True),
    ("20 Dec to 6 Jan Europe/Berlin", "2032-01-06 23:00", False),
    ("24 Dec 14:00 to 31 Dec UTC", "2026-12-31 23:59", True),
    ("24 Dec 14:00 to 31 Dec UTC", "2027-01-01 00:00", False),
    ("1 Jul to 31 Aug UTC", "2026-08-31 12:00", True),
]


@pytest.mark.parametrize(("text", "at", "inside"), MOMENTS)
def test_a_moment_lies_in_what_its_author_means(text: str, at: str, inside: bool) -> None:
    assert covers(text, at) is inside
    assert covers(text, at, widest=True) is inside


#: On 29 March 2026 Berlin's clocks skip 02:00 to 03:00 (01:00 UTC); on 25 October they show it twice (00:00 to 02:00 UTC).
#: A stretch, how it is read, its first moment and the first one after it, in UTC.
CHANGED_CLOCKS = [
    ("Sun 02:30 to 04:00 Europe/Berlin", True, "2026-03-29 00:30", "2026-03-29 02:00"),
    ("Sun 02:30 to 04:00 Europe/Berlin", False, "2026-03-29 01:30", "2026-03-29 02:00"),
    ("Sun 01:00 to 02:30 Europe/Berlin", True, "2026-03-29 00:00", "2026-03-29 01:30"),
    ("Sun 01:00 to 02:30 Europe/Berlin", False, "2026-03-29 00:00", "2026-03-29 00:30"),
    ("Sun 02:30 to 04:00 Europe/Berlin", True, "2026-10-25 00:30", "2026-10-25 03:00"),
    ("Sun 02:30 to 04:00 Europe/Berlin", False, "2026-10-25 01:30", "2026-10-25 03:00"),
    ("Sun 01:00 to 02:30 Europe/Berlin", True, "2026-10-24 23:00", "2026-10-25 01:30"),
    ("Sun 01:00 to 02:30 Europe/Berlin", False, "2026-10-24 23:00", "2026-10-25 00:30"),
    # The weekend of a change ends at its own local time, not an hour or a day later.
    ("Fri 16:00 to Mon 08:00 Europe/Berlin", True, "2026-03-27 15:00", "2026-03-30 06:00"),
    ("Fri 16:00 to Mon 08:00 Europe/Berlin", True, "2026-10-23 14:00", "2026-10-26 07:00"),
]


@pytest.mark.parametrize(("text", "widest", "first", "after"), CHANGED_CLOCKS)
def test_where_clocks_change_it_is_as_long_or_as_short_as_it_can_be(
    text: str, widest: bool, first: str, after: str
) -> None:
    least = timedelta(microseconds=1)
    span = parse(text)
    assert span.covering(utc(first), widest=widest) == Stretch(utc(first), utc(after))
    assert span.covering(utc(after) - least, widest=widest) == Stretch(utc(first), utc(after))
    assert span.covering(utc(first) - least, widest=widest) is None
    assert span.covering(utc(after), widest=widest) is None


def test_a_stretch_that_the_clocks_skip_whole_permits_nothing() -> None:
    span = parse("Sun 02:10 to 02:20 Europe/Berlin")
    day = [utc("2026-03-29 00:00") + timedelta(minutes=minutes) for minutes in range(180)]
    assert not any(span.covering(at, widest=False) for at in day)


@pytest.mark.parametrize(
    ("text", "at", "begins"),
    [
        ("Mon-Fri 08:00 to 18:00 Europe/Berlin", "2026-01-31 12:00", "2026-02-02 07:00"),
        ("Mon-Fri 08:00 to 18:00 Europe/Berlin", "2026-03-28 12:00", "2026-03-30 06:00"),
        ("Sat 08:00 to 09:00 UTC", "2026-01-31 08:00", "2026-02-07 08:00"),
        ("20 Dec to 6 Jan UTC", "2026-01-07 12:00", "2026-12-20 00:00"),
        ("2026-12-20 to 2026-12-24 UTC", "2026-01-07 12:00", "2026-12-20 00:00"),
        ("2026-12-20 to 2026-12-24 UTC", "2026-12-25 12:00", None),
    ],
)
def test_it_says_when_it_begins_next(text: str, at: str, begins: str | None) -> None:
    assert parse(text).next_after(utc(at)) == (None if begins is None else utc(begins))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("weekdays", "'weekdays' is no stretch of time; write `Mon-Fri 08:00 to 18:00 Europe/Berlin`"),
        ("Fri 16:00 to Mon 08:00", "names no time zone: write `Fri 16:00 to Mon 08:00 Europe/Berlin`"),
        ("08:00 to 18:00 Europe/Berlim", "there is no zone 'Europe/Berlim'; write one such as Europe/Berlin, or UTC"),
        ("08:00 to 25:00 UTC", "is no stretch of time"),
        ("08:00 to 08:00 UTC", "ends when it begins; write the days without times for whole days"),
        ("24:00 to 08:00 UTC", "begins at 24:00; write 00:00 of the next day"),
        ("2026-12-20 to 2026-12-19 UTC", "ends before it begins"),
        ("2026-02-30 to 2026-03-01 UTC", "day is out of range"),
        ("0001-01-01 to 2026-12-31 UTC", "its year is not from 1970"),
        ("2026-01-01 to 9999-12-31 UTC", "date value out of range"),
        ("30 Feb to 2 Mar UTC", "there is no 30 Feb"),
        ("29 Feb to 2 Mar UTC", "29 Feb is not in every year: write 28 Feb or 1 Mar"),
        ("Fri 16:00 to Mon 08:00 ../../etc/passwd", "is no stretch of time"),
        ("Mo-Fr 08:00 to 18:00 Europe/Berlin", "is no stretch of time"),
        ("", "is no stretch of time"),
        (7, "write `Mon-Fri 08:00 to 18:00 Europe/Berlin`"),
        ([], "names nothing; write `Mon-Fri"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_is_allowed(text: object, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(WrittenSpans).validate_python(text)
    assert words in str(caught.value)


def test_one_is_written_alone_and_several_as_a_list() -> None:
    adapter: TypeAdapter[tuple[LocalSpan, ...]] = TypeAdapter(WrittenSpans)
    one, other = "Sat, Sun Europe/Berlin", "20 Dec to 6 Jan Europe/Berlin"
    assert [span.text for span in adapter.validate_python(one)] == [one]
    assert [span.text for span in adapter.validate_python([one, other])] == [one, other]


def test_small_letters_and_spaces_make_no_difference() -> None:
    assert parse(" fri 16:00  to mon 08:00 Europe/Berlin ").covering(utc("2026-01-31 12:00"), widest=True)
