"""Alerts that are held now: how many, and those that wait for what has just ended."""

from datetime import datetime

from sqlalchemy import func, select, text, update

from paramedic.store import Tx
from paramedic.store.tables import inbox

#: As the partial indexes say it.
_HELD = text("inbox.state = 'held'")


def held(tx: Tx) -> dict[str, int]:
    """How many alerts are held, by what holds them (`paramedic.alerts.held_back.HeldBack`)."""
    query = select(inbox.c.held_by, func.count()).where(_HELD).group_by(inbox.c.held_by)
    return {row[0] or "other": row[1] for row in tx.conn.execute(query)}


def look_again_for(tx: Tx, waited_for: str) -> None:
    """Decide the receipts now that are held for this, as `decided` was told it."""
    look_again_at(tx, waited_for, tx.now)


def look_again_at(tx: Tx, waited_for: str, moment: datetime) -> None:
    """Decide the receipts at this moment that are held for this."""
    tx.conn.execute(update(inbox).where(_HELD, inbox.c.waits_for == waited_for).values(look_again_at=moment))


def for_incident(number: int) -> str:
    """What receipts wait for that are held until this incident no longer says that its service is down."""
    return f"incident:{number}"
