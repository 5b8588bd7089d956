"""Heartbeats: others report regularly that they are well. A check measures their silence."""

from datetime import timedelta

from sqlalchemy import func, select, true

from paramedic.errors import Refused
from paramedic.store import Tx
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import heartbeats
from paramedic.store.upsert import insert_or_update

#: More names than this are a mistake of a sender.
MOST = 1000


def beat(tx: Tx, name: str, *, sender: str) -> None:
    """Record a heartbeat now. Raises Refused for a new name where there are too many."""
    known = tx.conn.execute(select(heartbeats.c.name).where(heartbeats.c.name == name)).one_or_none()
    if known is None and tx.conn.execute(select(func.count()).select_from(heartbeats)).scalar_one() >= MOST:
        raise Refused(f"there are {MOST} heartbeats already, and this would be one more")
    insert_or_update(tx, heartbeats, {"name": name}, {"at": tx.now, "sender": sender})


def missing_for(tx: Tx, name: str) -> timedelta | None:
    """The time since its last heartbeat; None if there was none."""
    at = tx.conn.execute(select(heartbeats.c.at).where(heartbeats.c.name == name)).scalar_one_or_none()
    return None if at is None else max(timedelta(0), tx.now - at)


FACTS = (
    TableFacts(
        table=heartbeats,
        restore=Unchanged("who is silent since then is found silent"),
        retention=Unchanged("at most MOST names"),
        times=((heartbeats.c.at, true()),),
    ),
)
