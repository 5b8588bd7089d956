"""The states of checks, as their samples left them: what is read of them without what records them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from paramedic.checks.threshold import CheckState, Level
from paramedic.store import Tx
from paramedic.store.tables import check_states as states


@dataclass(frozen=True, slots=True)
class State:
    """The state of one metric of one check at one target."""

    runbook: str
    name: str
    target: str
    metric: str
    service: str
    standing: CheckState
    value: float | None  # the last one that was seen
    why: str
    stale_at: datetime


def listed(tx: Tx) -> list[State]:
    """Every state, ordered by its names."""
    query = select(states).order_by(states.c.runbook, states.c.name, states.c.target, states.c.metric)
    return [state_of(row) for row in tx.conn.execute(query)]


def broken_at(tx: Tx, target: str) -> list[State]:
    """The breached states at this target, of every runbook's checks."""
    return [state for state in listed(tx) if state.target == target and state.standing.breached]


def unsampled(tx: Tx) -> list[State]:
    """The states of checks that should have been sampled long ago."""
    return [state for state in listed(tx) if state.stale_at <= tx.now]


def state_of(row: Row[Any]) -> State:
    """The state that the row of its table holds."""
    over = {Level.WARNING: row.warning_since, Level.CRITICAL: row.critical_since}
    standing = CheckState(
        known=Level(row.known),
        since=row.since,
        sampled_at=row.sampled_at,
        unknown_since=row.unknown_since,
        over={level: since for level, since in over.items() if since is not None},
    )
    same = {field: getattr(row, field) for field in State.__slots__ if field != "standing"}
    return State(**same, standing=standing)
