"""The outbox: flow runs to create in Prefect. A crash on either side neither loses nor doubles one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update

from paramedic.store import Tx, generation
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import incidents, outbox
from paramedic.store.urgency_order import BY_URGENCY


@dataclass(frozen=True, slots=True)
class Order:
    """One flow run to create."""

    incident: int
    attempt: int
    key: str
    written_at: datetime
    tries: int
    last_error: str | None


def put(tx: Tx, *, incident: int, attempt: int) -> None:
    """Order the run of this attempt.

    Its key carries the store's UUID and generation: a run that Prefect has from another store, or from before a restore,
    is never mistaken for this one.
    """
    tx.conn.execute(
        insert(outbox).values(
            incident=incident,
            attempt=attempt,
            key=f"paramedic:{tx.store}:{generation(tx)}:{incident}:{attempt}",
            state="waiting",
            written_at=tx.now,
            due_at=tx.now,
            tries=0,
        )
    )


def waiting(tx: Tx, limit: int = 20) -> list[Order]:
    """The orders that are due: of the most urgent incidents first, then oldest first."""
    query = (
        select(outbox)
        .join(incidents, incidents.c.number == outbox.c.incident)
        .where(outbox.c.state == "waiting", outbox.c.due_at <= tx.now)
        .order_by(*BY_URGENCY, outbox.c.written_at, outbox.c.incident)
        .limit(limit)
    )
    return [_order(row) for row in tx.conn.execute(query)]


def waiting_since(tx: Tx, moment: datetime) -> list[Order]:
    """The orders from before this moment that have not been sent."""
    query = select(outbox).where(outbox.c.state == "waiting", outbox.c.written_at < moment)
    return [_order(row) for row in tx.conn.execute(query)]


def sent(tx: Tx, incident: int, attempt: int) -> bool:
    """Record that Prefect has the run. False: it was sent or withdrawn meanwhile."""
    changed = tx.conn.execute(
        update(outbox)
        .where(outbox.c.incident == incident, outbox.c.attempt == attempt, outbox.c.state == "waiting")
        .values(state="sent", tries=outbox.c.tries + 1)
    )
    return changed.rowcount == 1


def put_off(tx: Tx, incident: int, attempt: int, *, error: str, until: datetime) -> None:
    """Try the order again later: Prefect did not answer; if the run exists after all, the key finds it next time."""
    tx.conn.execute(
        update(outbox)
        .where(outbox.c.incident == incident, outbox.c.attempt == attempt, outbox.c.state == "waiting")
        .values(tries=outbox.c.tries + 1, due_at=until, last_error=error)
    )


def withdraw(tx: Tx, incident: int) -> None:
    """Withdraw the incident's orders."""
    tx.conn.execute(
        update(outbox).where(outbox.c.incident == incident, outbox.c.state == "waiting").values(state="withdrawn")
    )


def _order(row: Row[Any]) -> Order:
    return Order(**{field: getattr(row, field) for field in Order.__slots__})


FACTS = (
    TableFacts(
        table=outbox,
        restore=Unchanged("they are withdrawn with the handing over of their incident"),
        retention=Unchanged("kept with their incident"),
        times=((outbox.c.due_at, outbox.c.state == "waiting"),),
    ),
)
