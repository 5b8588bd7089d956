"""When the last mass failure was over: a rest follows it (`paramedic.remediation.storm`)."""

from datetime import datetime

from sqlalchemy import insert, select, true, update

from paramedic.remediation.kill_switch import MASS
from paramedic.remediation.storm import Storm
from paramedic.store import Tx
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import storms


def last(tx: Tx) -> Storm | None:
    """The last mass failure that is over; None where there was none."""
    row = tx.conn.execute(select(storms.c.over_at, storms.c.why).where(storms.c.scope == MASS)).one_or_none()
    return None if row is None else Storm(row.over_at, row.why)


def over(tx: Tx, why: str) -> None:
    """A mass failure is over now; `why` it was one."""
    stands = {"over_at": tx.now, "why": why}
    changed = tx.conn.execute(update(storms).where(storms.c.scope == MASS).values(**stands))
    if not changed.rowcount:
        tx.conn.execute(insert(storms).values(scope=MASS, **stands))


def blind_after(tx: Tx, since: datetime) -> None:
    """Sight is back, which was lost at `since`: where that ended a mass failure unseen, it is over now."""
    tx.conn.execute(update(storms).where(storms.c.scope == MASS, storms.c.over_at == since).values(over_at=tx.now))


FACTS = (
    TableFacts(
        table=storms,
        restore=Unchanged("the rest after it is long over"),
        retention=Unchanged("one row, of the last one"),
        times=((storms.c.over_at, true()),),
    ),
)
