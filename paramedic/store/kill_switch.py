"""The kill switch in the store: pauses stop acts, never pages."""

from sqlalchemy import Row, delete, insert, select

from paramedic.remediation.kill_switch import ALL, Pause
from paramedic.store import Tx
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import pauses
from paramedic.store.trail import append


def pause(tx: Tx, *, by: str, reason: str, scope: str = ALL, actor: str | None = None) -> None:
    """Stop every act in the scope until `resume`. Idempotent: the first reason is kept. `tx` from `Store.record`.

    `actor` names the cause where it is not a person.
    """
    known = select(pauses.c.scope).where(pauses.c.scope == scope)
    if tx.conn.execute(known).one_or_none() is None:
        tx.conn.execute(insert(pauses).values(scope=scope, by=by, reason=reason, since=tx.now))
        said_by = actor or f"person:{by}"
        append(tx, actor=said_by, phase="decision", what="acts.paused", reason=reason, data={"scope": scope})


def resume(tx: Tx, *, by: str, reason: str, scope: str = ALL) -> Pause | None:
    """Allow acts in the scope again; returns the ended pause. Idempotent: None where it was not paused."""
    row = tx.conn.execute(delete(pauses).where(pauses.c.scope == scope).returning(pauses)).one_or_none()
    if row is None:
        return None
    append(tx, actor=f"person:{by}", phase="decision", what="acts.resumed", reason=reason, data={"scope": scope})
    return _pause(row)


def standing(tx: Tx) -> list[Pause]:
    """Every pause in force, oldest first."""
    query = select(pauses).order_by(pauses.c.since, pauses.c.scope)
    return [_pause(row) for row in tx.conn.execute(query)]


def stopping(tx: Tx, *, service: str, runbook: str | None) -> tuple[Pause, ...]:
    """The pauses that stop acts for this service by this runbook."""
    return tuple(found for found in standing(tx) if found.stops(service=service, runbook=runbook))


def _pause(row: Row[tuple[object, ...]]) -> Pause:
    return Pause(row.scope, row.by, row.reason, row.since)


FACTS = (
    TableFacts(
        table=pauses,
        restore=Unchanged("they stand; the restore itself adds one of everything"),
        retention=Unchanged("a pause ends by a person's word"),
        times=(),
    ),
)
