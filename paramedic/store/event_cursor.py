"""The cursor of trail events sent to Prefect: later entries are sent again until it answers."""

from sqlalchemy import insert, select, update

from paramedic.store import Tx
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import told

_PREFECT = "prefect"


def position(tx: Tx) -> int:
    """The number of the last entry sent; 0 on a new store."""
    return tx.conn.execute(select(told.c.seq).where(told.c.listener == _PREFECT)).scalar_one_or_none() or 0


def advance(tx: Tx, seq: int) -> None:
    """Record that all entries up to this one were sent. Never moves back. `tx` must come from `Store.record`."""
    if position(tx) == 0:
        tx.conn.execute(insert(told).values(listener=_PREFECT, seq=seq))
    else:
        tx.conn.execute(update(told).where(told.c.listener == _PREFECT, told.c.seq < seq).values(seq=seq))


FACTS = (
    TableFacts(
        table=told,
        restore=Unchanged("what Prefect heard of before it hears again: its key is of the next generation"),
        retention=Unchanged("one row a listener"),
        times=(),
    ),
)
