"""On-call overrides: shifts that differ from the rotation."""

from sqlalchemy import insert, select

from paramedic.machine.clock import iso
from paramedic.oncall.rotation import Override
from paramedic.store import Tx
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import overrides
from paramedic.store.trail import append


def add(tx: Tx, override: Override) -> None:
    """Add an override; it takes precedence over every older one."""
    tx.conn.execute(
        insert(overrides).values(
            person=override.person,
            begins_at=override.begins,
            ends_at=override.ends,
            by=override.by,
            written_at=tx.now,
        )
    )
    append(
        tx,
        actor=f"person:{override.by}",
        phase="decision",
        what="oncall.overridden",
        reason=f"{override.person} is on call from {iso(override.begins)} to {iso(override.ends)}",
        data={"person": override.person, "begins": iso(override.begins), "ends": iso(override.ends)},
    )


def current(tx: Tx) -> tuple[Override, ...]:
    """The overrides that have not ended, newest last."""
    query = select(overrides).where(overrides.c.ends_at > tx.now).order_by(overrides.c.id)
    return tuple(Override(row.person, row.begins_at, row.ends_at, row.by) for row in tx.conn.execute(query))


FACTS = (
    TableFacts(
        table=overrides,
        restore=Unchanged("a person said so"),
        retention=Unchanged("a shift that is over is read as history"),
        times=(),
    ),
)
