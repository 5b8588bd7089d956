"""Flaps: how often an alert has ended lately, and what a person was told of one that flaps."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, delete, select, true, update

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.alert_object import shown_name
from paramedic.alerts.flapping import Bounds, Flapping, waits_for
from paramedic.incidents.incident import State
from paramedic.machine.clock import iso, spoken
from paramedic.store import Tx, held_alerts, messages
from paramedic.store.incidents import get
from paramedic.store.table_facts import Cutoffs, Restoration, TableFacts
from paramedic.store.tables import flaps
from paramedic.store.trail import append
from paramedic.store.upsert import insert_or_update

#: Built once, as alerts ask it: building a statement costs more than running it.
_ONE = select(flaps).where(flaps.c.key == bindparam("of"))


def known(tx: Tx, alert: Alert, key: str, bounds: Bounds, *, begins: bool) -> Flapping | None:
    """The alert as one that flaps; None: it does not, or not any more. `begins`: it fires, and did not before.

    One that has been steady for long enough is over by now: its person is told what it is since.
    """
    row = tx.conn.execute(_ONE, {"of": key}).one_or_none()
    if row is None:
        return None
    if row.told_at is not None and tx.now >= row.last_at + bounds.quiet:
        _close(tx, alert, row)
        return None
    if begins:
        _begins(tx, row)
    ends = _within(row, tx.now, bounds)
    if row.told_at is None and (alert.status is Status.RESOLVED or len(ends) < bounds.times):
        return None
    return Flapping(
        key,
        turns=len(ends) if row.told_at is None else row.turns,
        since=ends[0] if row.told_at is None else row.since,
        now=tx.now,
        until=(tx.now if begins or row.told_at is None else row.last_at) + bounds.quiet,
        told_at=row.told_at,
        told=None if row.told is None else Severity(row.told),
        incident=row.incident,
    )


def _begins(tx: Tx, row: Row[Any]) -> None:
    """Note that it fires anew. What is held of its turns before is over, and is looked at now."""
    turn = {"last_turn": Status.FIRING, "last_at": tx.now}
    tx.conn.execute(update(flaps).where(flaps.c.key == row.key).values(turn))
    if row.told_at is not None:
        held_alerts.look_again_for(tx, waits_for(row.key))


def ended(tx: Tx, key: str, bounds: Bounds) -> None:
    """Count an end of what fired. Where several senders say one turn, or one says it for several of its own, it counts once."""
    row = tx.conn.execute(_ONE, {"of": key}).one_or_none()
    if row is not None and row.last_turn == Status.RESOLVED:
        return
    ends = [] if row is None else _within(row, tx.now, bounds)
    latest = [moment.isoformat() for moment in [*ends, tx.now][-bounds.times :]]
    values: Mapping[str, Any] = {
        "ends": latest,
        "last_turn": Status.RESOLVED,
        "last_at": tx.now,
        "turns": 1 if row is None else row.turns + 1,
    }
    insert_or_update(tx, flaps, {"key": key}, values)
    if row is not None and row.told_at is not None:
        held_alerts.look_again_at(tx, waits_for(key), tx.now + bounds.quiet)


def told(tx: Tx, alert: Alert, flapping: Flapping, incident: int) -> None:
    """Note that a person is told of it on this incident."""
    values = {
        "since": flapping.since,
        "turns": flapping.turns,
        "last_turn": Status.FIRING,
        "last_at": tx.now,
        "told_at": tx.now,
        "told": alert.severity,
        "incident": incident,
    }
    tx.conn.execute(update(flaps).where(flaps.c.key == flapping.key).values(values))
    append(
        tx,
        actor="triage",
        phase="decision",
        what="alert.flaps",
        incident=incident,
        reason=f"{flapping.words}: while it does, no playbook begins for it",
        data={"fingerprint": alert.fingerprint, "turns": flapping.turns, "since": iso(flapping.since)},
    )


def _close(tx: Tx, alert: Alert, row: Row[Any]) -> None:
    """End the episode. Whoever has the incident is told how it has been since the last turn: neither is ever hidden."""
    tx.conn.execute(delete(flaps).where(flaps.c.key == row.key))
    held_alerts.look_again_for(tx, waits_for(row.key))
    fires = row.last_turn == Status.FIRING
    since = f"{'fires steadily' if fires else 'has been over'} since {iso(row.last_at)}"
    words = f"it flaps no more: it {since}; before that it had fired and ended {row.turns} times in {_spoken(row)}"
    append(
        tx,
        actor="triage",
        phase="decision",
        what="alert.flaps_no_more",
        incident=row.incident,
        reason=words,
        data={"fingerprint": alert.fingerprint, "turns": row.turns, "fires": fires},
    )
    incident = get(tx, row.incident)
    if incident.state not in (State.HANDED_OVER, State.ACKNOWLEDGED):
        return
    messages.queue_update(
        tx,
        incident=incident.number,
        policy=incident.policy,
        severity=incident.severity if fires else Severity.WARNING,  # that it is over wakes nobody
        subject=f"{shown_name(alert)} flaps no more, and {since}",
        body=words,
        recipient=incident.acknowledged_by if incident.state is State.ACKNOWLEDGED else None,
    )


def _spoken(row: Row[Any]) -> str:
    return spoken(row.last_at - row.since)


def _within(row: Row[Any], now: datetime, bounds: Bounds) -> list[datetime]:
    """Its latest ends, of those within the time; what lies ahead of a clock that was set back is none."""
    ends = [datetime.fromisoformat(moment) for moment in row.ends]
    return [moment for moment in ends if now - bounds.within < moment <= now]


def _restored(tx: Tx, _restoration: Restoration) -> None:
    """After a restore nothing is held because of what a person was told before: that is counted anew."""
    tx.conn.execute(delete(flaps))


def _too_old(cutoffs: Cutoffs) -> ColumnElement[bool]:
    """What has not turned for long."""
    return flaps.c.last_at < cutoffs.received


FACTS = (
    TableFacts(
        table=flaps,
        restore=_restored,
        retention=_too_old,
        times=((flaps.c.last_at, true()), (flaps.c.since, true()), (flaps.c.told_at, true())),
    ),
)
