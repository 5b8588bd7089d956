"""Who is on call: people who take turns at a fixed hour of their own zone, summer and winter."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from whenever import Instant, PlainDateTime

from paramedic.way import Way


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can be told. `id` is what the trail calls them."""

    id: str
    name: str
    ways: tuple[Way, ...]  # in the order in which they are tried


@dataclass(frozen=True, slots=True)
class Rotation:
    """Turns of `every` (whole days), beginning at a local time of `zone`, in the order of `people`."""

    zone: str
    starts: str  # local, "2026-01-05 09:00"
    every: timedelta
    people: tuple[str, ...]

    def who(self, at: datetime) -> str | None:
        """The id of whoever is on call at the moment; None before the rotation starts or when nobody takes turns.

        Turns change at the same local time whatever the clocks do: days are counted on the calendar, not in hours.
        """
        if not self.people:
            return None
        local = Instant(at.astimezone(UTC)).to_tz(self.zone).to_plain()
        begins = PlainDateTime.parse_iso(self.starts.replace(" ", "T"))
        if local < begins:
            return None
        days = (local.date().to_stdlib() - begins.date().to_stdlib()).days
        if local.time() < begins.time():
            days -= 1
        return self.people[(days // self.every.days) % len(self.people)]
