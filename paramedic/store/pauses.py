"""The kill switch: it stops acts, never pages."""

from sqlalchemy import delete, insert, select

from paramedic.clock import iso
from paramedic.store import Tx
from paramedic.store.tables import pauses
from paramedic.store.trail import append

_ALL = "all"


def pause(tx: Tx, *, by: str, reason: str) -> None:
    """Stop every act until `resume`. Idempotent: the first reason stands. `tx` must come from `Store.record`."""
    if current(tx) is None:
        tx.conn.execute(insert(pauses).values(scope=_ALL, by=by, reason=reason, since=tx.now))
        append(tx, actor=f"person:{by}", phase="decision", what="acts.paused", reason=reason)


def resume(tx: Tx, *, by: str, reason: str) -> None:
    """Allow acts again. Idempotent."""
    gone = tx.conn.execute(delete(pauses).where(pauses.c.scope == _ALL))
    if gone.rowcount:
        append(tx, actor=f"person:{by}", phase="decision", what="acts.resumed", reason=reason)


def current(tx: Tx) -> str | None:
    """Who paused, since when and why, in words; None if acts are allowed."""
    row = tx.conn.execute(select(pauses).where(pauses.c.scope == _ALL)).one_or_none()
    return None if row is None else f"{row.by} since {iso(row.since)}: {row.reason}"
