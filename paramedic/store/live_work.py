"""What waits and what is under way now, in figures: live rows only, so that the cost does not grow with the store's history."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Table, func, select

from paramedic.incidents.incident import State
from paramedic.store import Tx, deliveries, inbox, kill_switch, running_processes
from paramedic.store.held_alerts import held
from paramedic.store.tables import acts, claims, incidents, messages, outbox

#: A message that has been due for so long is late.
LATE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queue: how much waits, and for how long its oldest entry has; zero where nothing waits."""

    count: int
    oldest: timedelta


@dataclass(frozen=True, slots=True)
class LiveWork:
    """The figures of one moment, read in one transaction."""

    inbox: Waiting  # alerts without a first decision
    held: Mapping[str, int]  # alerts that are held now, by what holds them (`HeldBack`)
    outbox: Waiting  # orders that Prefect does not have yet, by when they were written
    messages: Waiting  # messages that could be sent now, by when they were due
    late: int  # messages that have been due for LATE
    retrying: int  # messages that failed at least once, and are not sent
    incidents: Mapping[State, int]  # those not resolved, by state; every such state is there
    claims: int  # in force
    open_acts: Waiting  # without an outcome
    processes: Mapping[str, int]  # of ours that run on the store, by role; each role is there
    acts_paused: bool  # everywhere, by a person, the watchdog, a mass failure or the fleet's breaker


def live_work(tx: Tx) -> LiveWork:
    """The figures as they are now."""
    count, oldest = inbox.depth(tx)
    sendable = deliveries.sendable(tx)
    unsent = messages.c.state.in_(("due", "sending")) & (messages.c.tries > 0) & messages.c.last_error.is_not(None)
    states = select(incidents.c.state, func.count()).where(incidents.c.state != State.RESOLVED)
    by_state = {State(row[0]): row[1] for row in tx.conn.execute(states.group_by(incidents.c.state))}
    return LiveWork(
        inbox=_waiting(tx, count, oldest),
        held=held(tx),
        outbox=_queue(tx, outbox, outbox.c.written_at, outbox.c.state == "waiting"),
        messages=_queue(tx, messages, messages.c.due_at, sendable),
        late=_count(tx, messages, sendable & (messages.c.due_at <= tx.now - LATE)),
        retrying=_count(tx, messages, unsent),
        incidents={state: by_state.get(state, 0) for state in State if state is not State.RESOLVED},
        claims=_count(tx, claims, claims.c.released.is_(False) & (claims.c.lease_until > tx.now)),
        open_acts=_queue(tx, acts, acts.c.written_at, acts.c.result.is_(None)),
        processes=running_processes.counted(tx),
        acts_paused=any(pause.everywhere for pause in kill_switch.standing(tx)),
    )


def _count(tx: Tx, table: Table, rows: ColumnElement[bool]) -> int:
    return tx.conn.execute(select(func.count()).where(rows).select_from(table)).scalar_one()


def _queue(tx: Tx, table: Table, since: ColumnElement[datetime], rows: ColumnElement[bool]) -> Waiting:
    found = tx.conn.execute(select(func.count(), func.min(since)).where(rows).select_from(table)).one()
    return _waiting(tx, found[0], found[1])


def _waiting(tx: Tx, count: int, oldest: datetime | None) -> Waiting:
    return Waiting(count, timedelta(0) if oldest is None else max(timedelta(0), tx.now - oldest))
