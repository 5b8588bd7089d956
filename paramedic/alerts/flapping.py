"""Flapping: an alert that fires and ends again and again."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from paramedic.alerts.alert import Alert, Severity
from paramedic.alerts.alert_object import object_of
from paramedic.machine.clock import iso, spoken

#: Where no incident is open any more and it flaps on, a person is told again after this time.
TELL_AGAIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What counts as flapping: so many ends within a time; it is over after a time without a turn."""

    times: int = 5
    within: timedelta = timedelta(minutes=30)
    quiet: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Flapping:
    """An alert that flaps: how often it has ended since when, until when it is held, and what a person was told of it."""

    key: str
    turns: int
    since: datetime
    now: datetime
    until: datetime
    told_at: datetime | None = None
    told: Severity | None = None
    incident: int | None = None  # on which that was
    is_held: bool = False  # it is held already, and looked at again

    @property
    def words(self) -> str:
        """How often it has flapped, and for how long."""
        for_so_long = spoken(self.now - self.since)
        return f"it flaps: it has fired and ended {self.turns} times since {iso(self.since)} ({for_so_long})"

    @property
    def waits_for(self) -> str:
        """What receipts wait for that are held for it."""
        return waits_for(self.key)

    def is_told(self, severity: Severity, live: int | None) -> bool:
        """Whether a person knows of it: on the open incident, or not long ago; of a warning tells no word of a critical one."""
        if self.told_at is None or (severity is Severity.CRITICAL and self.told is not Severity.CRITICAL):
            return False
        return self.now < self.told_at + TELL_AGAIN if live is None else self.incident == live


def waits_for(key: str) -> str:
    """What receipts wait for that are held while this flaps."""
    return f"flapping:{key}"


def key_of(alert: Alert, *, service: str, target: str) -> str:
    """What is the same from one turn to the next. Some senders name each turn anew: their fingerprints tell turns apart."""
    same = json.dumps([service, target, alert.name, object_of(alert)])
    return hashlib.sha256(same.encode("utf-8", "surrogatepass")).hexdigest()
