"""The rotation: people who take turns at a fixed local time, across daylight-saving changes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from whenever import Instant, PlainDateTime

from paramedic.oncall.contact import ContactMethod


@dataclass(frozen=True, slots=True)
class Person:
    """A person who can be paged. `id` is their name on the trail."""

    id: str
    name: str
    contact_methods: tuple[ContactMethod, ...]  # in the order in which they are tried
    zone: str = "UTC"  # in which they read times


@dataclass(frozen=True, slots=True)
class Override:
    """A person who is on call instead of the rotation's, set by `by`. `ends` is exclusive."""

    person: str
    begins: datetime
    ends: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Rotation:
    """Turns of length `every` (whole days), from a local time of `zone`, in the order of `people`."""

    zone: str
    starts: str  # local, "2026-01-05 09:00"
    every: timedelta
    people: tuple[str, ...]

    def who(self, at: datetime) -> str | None:
        """The id of the person on call at the moment; None before the rotation starts or without people.

        Turns change at the same local time all year: days are counted on the calendar, not in hours.
        """
        if not self.people:
            return None
        turn = self._turn(at)
        return None if turn < 0 else self.people[turn % len(self.people)]

    def turns(self, begins: datetime, ends: datetime) -> list[datetime]:
        """Every moment between the two at which the turn changes."""
        number = max(self._turn(begins) + 1, 0)
        found = []
        while (at := self._begins(number)) < ends:
            found.append(at)
            number += 1
        return found

    def _turn(self, at: datetime) -> int:
        """The number of the turn at the moment, counted from 0; below 0 before the rotation starts."""
        local = Instant(at.astimezone(UTC)).to_tz(self.zone).to_plain()
        number: int = (local.date().to_stdlib() - self._first.date().to_stdlib()).days // self.every.days
        return number if self._begins(number) <= at else number - 1

    def _begins(self, number: int) -> datetime:
        """When a turn begins. A local time that occurs twice means its first occurrence, one that is skipped an hour later."""
        day = self._first.date().add(days=number * self.every.days)
        return day.at(self._first.time()).assume_tz(self.zone, disambiguate="compatible").to_instant().to_stdlib()

    @property
    def _first(self) -> PlainDateTime:
        return PlainDateTime.parse_iso(self.starts.replace(" ", "T"))
