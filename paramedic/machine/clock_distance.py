"""How far another machine's clock is from ours, and how sure that is."""

from dataclasses import dataclass
from datetime import datetime, timedelta

#: A moment that is told in whole seconds is half of one too early in the mean, and at most as much off from that.
_HALF_A_SECOND = timedelta(seconds=0.5)


@dataclass(frozen=True, slots=True)
class ClockDistance:
    """Its clock less ours; the truth is at most `uncertain` from it."""

    apart: timedelta
    uncertain: timedelta

    @classmethod
    def of(
        cls, theirs: datetime, asked_at: datetime, took: timedelta, *, whole_seconds: bool = False
    ) -> "ClockDistance":
        """By a moment that it told in answer to a question of ours, which took so long from `asked_at` on."""
        apart, uncertain = theirs - asked_at - took / 2, took / 2
        return cls(apart + _HALF_A_SECOND, uncertain + _HALF_A_SECOND) if whole_seconds else cls(apart, uncertain)
