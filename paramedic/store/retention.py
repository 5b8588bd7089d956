"""What is too old, table by table, and its removal in small bites."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Table, and_, delete, exists, or_, select, tuple_

from paramedic.incidents.incident import State
from paramedic.store import Tx
from paramedic.store.tables import (
    evidence,
    fingerprints,
    inbox,
    incident_alerts,
    incidents,
    messages,
    quarantine,
)


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """What was received before `received`, or belongs to what ended before `ended`, is too old."""

    received: datetime
    ended: datetime


def remove_old(tx: Tx, cutoffs: Cutoffs, *, at_most: int) -> dict[str, int]:
    """Remove at most so many rows of each table; how many went, by table, and none that lost nothing."""
    gone = {table.name: _bite(tx, table, old, at_most) for table, old in _old(cutoffs)}
    return {name: count for name, count in gone.items() if count}


def _old(cutoffs: Cutoffs) -> list[tuple[Table, ColumnElement[bool]]]:
    """Each table with what is too old in it."""
    received, ended = cutoffs.received, cutoffs.ended
    over = select(incidents.c.number).where(incidents.c.state == State.RESOLVED, incidents.c.ended_at < ended)
    still_open = select(incidents.c.number).where(incidents.c.state != State.RESOLVED)
    said_since = exists().where(
        incident_alerts.c.fingerprint == fingerprints.c.fingerprint,
        or_(incident_alerts.c.last_seen >= received, incident_alerts.c.incident.in_(still_open)),
    )
    settled = messages.c.state.not_in(("due", "sending"))
    return [
        (
            inbox,
            and_(
                inbox.c.state == "triaged",
                inbox.c.triaged_at < received,
                or_(inbox.c.incident.is_(None), inbox.c.incident.not_in(still_open)),
            ),
        ),
        (quarantine, quarantine.c.received_at < received),
        (fingerprints, and_(fingerprints.c.starts_at < received, ~said_since)),
        (evidence, evidence.c.incident.in_(over)),
        (
            messages,
            and_(
                settled,
                or_(
                    and_(messages.c.incident.is_(None), messages.c.due_at < received),
                    messages.c.incident.in_(over),
                ),
            ),
        ),
    ]


def _bite(tx: Tx, table: Table, old: ColumnElement[bool], at_most: int) -> int:
    key = tuple_(*table.primary_key.columns)
    some = select(*table.primary_key.columns).where(old).limit(at_most)
    return tx.conn.execute(delete(table).where(key.in_(some))).rowcount
