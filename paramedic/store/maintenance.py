"""Maintenance windows, planned and begun. They bind whatever reads them in the transaction that acts or decides."""

from datetime import datetime

from sqlalchemy import Row, insert, or_, select, update

from paramedic.machine.clock import iso
from paramedic.remediation.maintenance import Window, check
from paramedic.store import Tx, inbox
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import maintenance
from paramedic.store.trail import append


class NoSuchWindow(LookupError):
    """The store has no window with this number."""


def add(
    tx: Tx, *, service: str, target: str | None, starts_at: datetime, ends_at: datetime, by: str, reason: str
) -> Window:
    """Plan a window, or begin it now. Raises ValueError for implausible times. `tx` must come from `Store.record`."""
    check(starts_at, ends_at, tx.now)
    number: int = tx.conn.execute(
        insert(maintenance)
        .values(service=service, target=target, starts_at=starts_at, ends_at=ends_at, by=by, reason=reason)
        .returning(maintenance.c.id)
    ).scalar_one()
    append(
        tx,
        actor=f"person:{by}",
        phase="decision",
        what="maintenance.added",
        target=target,
        reason=reason,
        data={"window": number, "service": service, "from": iso(starts_at), "to": iso(ends_at)},
    )
    return get(tx, number)


def end(tx: Tx, number: int, *, by: str, reason: str) -> Window:
    """End or cancel the window; the alerts that wait for its end are decided now. Idempotent once it is over.

    Raises NoSuchWindow.
    """
    window = get(tx, number)
    if window.ends_at <= tx.now:
        return window
    tx.conn.execute(update(maintenance).where(maintenance.c.id == number).values(ends_at=tx.now))
    inbox.look_again(tx)
    append(
        tx,
        actor=f"person:{by}",
        phase="decision",
        what="maintenance.ended",
        target=window.target,
        reason=reason,
        data={"window": number, "service": window.service, "planned": iso(window.ends_at)},
    )
    return get(tx, number)


def covering(tx: Tx, *, service: str, target: str) -> Window | None:
    """The window that the target is in now; of several, the one that ends last."""
    query = select(maintenance).where(
        maintenance.c.service == service,
        or_(maintenance.c.target.is_(None), maintenance.c.target == target),
        maintenance.c.starts_at <= tx.now,
        maintenance.c.ends_at > tx.now,
    )
    row = tx.conn.execute(query.order_by(maintenance.c.ends_at.desc(), maintenance.c.id).limit(1)).one_or_none()
    return None if row is None else _window(row)


def listed(
    tx: Tx, *, service: str | None = None, past: bool = False, limit: int = 50, before: int | None = None
) -> list[Window]:
    """Windows, newest first: those in force or planned, or with `past` all; `before` continues from a number."""
    query = select(maintenance).order_by(maintenance.c.id.desc()).limit(limit)
    if not past:
        query = query.where(maintenance.c.ends_at > tx.now)
    if service is not None:
        query = query.where(maintenance.c.service == service)
    if before is not None:
        query = query.where(maintenance.c.id < before)
    return [_window(row) for row in tx.conn.execute(query)]


def get(tx: Tx, number: int) -> Window:
    """The window with this number. Raises NoSuchWindow."""
    row = tx.conn.execute(select(maintenance).where(maintenance.c.id == number)).one_or_none()
    if row is None:
        raise NoSuchWindow(f"there is no maintenance window {number}; `paramedic maintenance list --past` has them all")
    return _window(row)


def _window(row: Row[tuple[object, ...]]) -> Window:
    return Window(**{field: getattr(row, field) for field in Window.__slots__})


FACTS = (
    TableFacts(
        table=maintenance,
        restore=Unchanged("a person planned it"),
        retention=Unchanged("a window that is over is read as history"),
        times=(),
    ),
)
