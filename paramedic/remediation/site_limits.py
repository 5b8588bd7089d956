"""What the settings ask of every change, whichever runbook makes it."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class BreakerLimit:
    """So many times within so long a remedy may fail to help a target, before it is blocked there."""

    count: int
    within: timedelta


@dataclass(frozen=True, slots=True)
class FleetLimit:
    """The share of all listed targets that may be changed within a time."""

    percent: int
    within: timedelta
    listed: int | None = None  # how many targets services.yaml lists; None: not read here

    @property
    def allowed(self) -> int | None:
        """How many different targets may be changed; None where it is not known how many there are."""
        return None if self.listed is None else max(FEWEST, self.listed * self.percent // 100)


#: So many targets may always be changed: of fewer a share says nothing.
FEWEST = 5


@dataclass(frozen=True, slots=True)
class SiteLimits:
    """The limits of this installation; the defaults are those of the settings."""

    breaker: BreakerLimit = BreakerLimit(3, timedelta(hours=4))
    fleet: FleetLimit = FleetLimit(50, timedelta(hours=1))
    storm_cooldown: timedelta = timedelta(minutes=5)


DEFAULTS = SiteLimits()
