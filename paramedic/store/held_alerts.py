"""Alerts that are held now, in figures."""

from sqlalchemy import func, select, text

from paramedic.store import Tx
from paramedic.store.tables import inbox

#: As the partial indexes say it.
_HELD = text("inbox.state = 'held'")


def held(tx: Tx) -> dict[str, int]:
    """How many alerts are held, by what holds them (`paramedic.alerts.held_back.HeldBack`)."""
    query = select(inbox.c.held_by, func.count()).where(_HELD).group_by(inbox.c.held_by)
    return {row[0] or "other": row[1] for row in tx.conn.execute(query)}
