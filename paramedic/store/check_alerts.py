"""When the alert of a check is raised, repeated, or said to be over: by the state that a sample has left."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from paramedic.alerts.alert import Severity
from paramedic.checks.threshold import CheckState, Level

#: A lasting breach is reported again this often, as by other senders: an incident that ended too early is opened again.
SAY_AGAIN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Due:
    """An alert that is to be put into the inbox."""

    level: Level
    began_at: datetime
    ended_at: datetime | None

    def columns(self, now: datetime) -> Mapping[str, Any]:
        """What the state's row says of its alert from then on."""
        fires = self.ended_at is None
        return {
            "alert_began_at": self.began_at if fires else None,
            "alert_severity": self.level if fires else None,
            "alert_said_at": now if fires else None,
        }


def due(row: Row[Any], standing: CheckState, now: datetime, *, held_back: bool) -> Due | None:
    """The alert that is due by this state; None where there is nothing to say. `row` says what was said before."""
    began_at: datetime | None = row.alert_began_at
    if standing.breached and not held_back:
        level = standing.known
        said_at: datetime | None = row.alert_said_at
        if began_at and said_at and row.alert_severity == level and now - said_at < SAY_AGAIN:
            return None
        return Due(level, began_at or standing.began_at(), None)
    if not standing.breached and began_at is not None:
        return Due(Level(row.alert_severity or Severity.WARNING), began_at, now)
    return None
