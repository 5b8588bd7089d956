"""Leases by the database's clock, for work of one process at a time: a lease lapses when its holder dies."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, true, update

from paramedic.store import Tx
from paramedic.store.table_facts import Restoration, TableFacts, Unchanged
from paramedic.store.tables import leases
from paramedic.store.upsert import insert_if_missing

#: What the lease of a flow run begins with, that a responder has: its id follows. A claim's holder is called so, too.
RUN = "run:"


def take(tx: Tx, name: str, *, holder: str, lease: timedelta) -> bool:
    """Take or extend the lease, for `lease` from now. False: another holder has it."""
    mine = {"holder": holder, "until": tx.now + lease}
    insert_if_missing(tx, leases, {"name": name}, mine)
    free = (leases.c.holder == holder) | (leases.c.until <= tx.now)
    return tx.conn.execute(update(leases).where(leases.c.name == name, free).values(**mine)).rowcount == 1


@dataclass(frozen=True, slots=True)
class Held:
    """Who has a lease, or had it last without giving it back, and until when."""

    holder: str
    until: datetime


def holder(tx: Tx, name: str) -> Held | None:
    """The lease's last holder; None where it was given back, or never taken."""
    row = tx.conn.execute(select(leases.c.holder, leases.c.until).where(leases.c.name == name)).one_or_none()
    return None if row is None else Held(row.holder, row.until)


def held(tx: Tx, name: str, *, holder: str) -> bool:
    """Whether the holder has the lease now."""
    query = select(leases.c.name).where(leases.c.name == name, leases.c.holder == holder, leases.c.until > tx.now)
    return tx.conn.execute(query).one_or_none() is not None


def release(tx: Tx, name: str, *, holder: str) -> None:
    """Release the lease, unless another holder has it meanwhile."""
    tx.conn.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))


def renew(tx: Tx, holder: str, lease: timedelta) -> set[str]:
    """Renew every lease of the holder; returns their names. Lapsed ones are not taken back."""
    mine = (leases.c.holder == holder) & (leases.c.until > tx.now)
    tx.conn.execute(update(leases).where(mine).values(until=tx.now + lease))
    return set(tx.conn.execute(select(leases.c.name).where(mine)).scalars())


def run_out(tx: Tx, prefix: str) -> list[tuple[str, str]]:
    """Name and holder of each lease of this kind that lapsed without a release."""
    query = select(leases.c.name, leases.c.holder).where(leases.c.name.startswith(prefix), leases.c.until <= tx.now)
    return [(row.name, row.holder) for row in tx.conn.execute(query)]


def _give_back(tx: Tx, _: Restoration) -> None:
    """Release every lease: their holders are processes from before the restore."""
    tx.conn.execute(delete(leases))


FACTS = (
    TableFacts(
        table=leases,
        restore=_give_back,
        retention=Unchanged("one that ended is taken over, or given back by who finds it"),
        times=((leases.c.until, true()),),
    ),
)
