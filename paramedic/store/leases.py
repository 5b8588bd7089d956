"""What one process at a time may do, by a lease on the database's clock: it ends with its holder, however that ends."""

from datetime import timedelta

from sqlalchemy import delete, select, true, update
from sqlalchemy.dialects import postgresql, sqlite

from paramedic.store import Tx
from paramedic.store.facts import Restoration, TableFacts, Unchanged
from paramedic.store.tables import leases

#: What the lease of a flow run begins with, that a responder has: its id follows. A claim's holder is called so, too.
RUN = "run:"


def take(tx: Tx, name: str, *, holder: str, lease: timedelta) -> bool:
    """Have it, or have it longer: for `lease` from now. False: somebody else has it."""
    dialect = postgresql if tx.conn.dialect.name == "postgresql" else sqlite
    mine = {"holder": holder, "until": tx.now + lease}
    tx.conn.execute(dialect.insert(leases).values(name=name, **mine).on_conflict_do_nothing(index_elements=["name"]))
    free = (leases.c.holder == holder) | (leases.c.until <= tx.now)
    return tx.conn.execute(update(leases).where(leases.c.name == name, free).values(**mine)).rowcount == 1


def held(tx: Tx, name: str, *, holder: str) -> bool:
    """Whether the holder has it now."""
    query = select(leases.c.name).where(leases.c.name == name, leases.c.holder == holder, leases.c.until > tx.now)
    return tx.conn.execute(query).one_or_none() is not None


def release(tx: Tx, name: str, *, holder: str) -> None:
    """Give it back. What somebody else has meanwhile stays theirs."""
    tx.conn.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))


def renew(tx: Tx, holder: str, lease: timedelta) -> set[str]:
    """Have everything longer that the holder has; what that is. What ran out meanwhile is not taken back."""
    mine = (leases.c.holder == holder) & (leases.c.until > tx.now)
    tx.conn.execute(update(leases).where(mine).values(until=tx.now + lease))
    return set(tx.conn.execute(select(leases.c.name).where(mine)).scalars())


def run_out(tx: Tx, prefix: str) -> list[tuple[str, str]]:
    """Name and holder of the leases of this kind that ended without being given back."""
    query = select(leases.c.name, leases.c.holder).where(leases.c.name.startswith(prefix), leases.c.until <= tx.now)
    return [(row.name, row.holder) for row in tx.conn.execute(query)]


def _give_back(tx: Tx, _: Restoration) -> None:
    """Whoever had one is a process of before."""
    tx.conn.execute(delete(leases))


FACTS = (
    TableFacts(
        table=leases,
        restore=_give_back,
        retention=Unchanged("one that ended is taken over, or given back by who finds it"),
        times=((leases.c.until, true()),),
    ),
)
