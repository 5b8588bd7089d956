"""Seals: the sealed segments that left the trail, and the transaction that removes their entries."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, String, cast, delete, func, insert, literal, select

from paramedic.audit.chain import Seal
from paramedic.incidents.incident import State
from paramedic.machine.clock import iso
from paramedic.machine.kill_points import kill_point
from paramedic.store import Tx
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import incidents, trail_contents
from paramedic.store.tables import seals as table
from paramedic.store.tables import trail as entries
from paramedic.store.trail import append

_FIELDS = [field for field in Seal.__slots__ if field != "store"]


@dataclass(frozen=True, slots=True)
class Span:
    """The entries that may leave now, and in words what holds the next one; empty if `last` is before `first`."""

    first: int
    last: int
    last_at: str
    kept_by: str


def newest(tx: Tx) -> Seal | None:
    """The seal that the chain continues from; None while it is whole."""
    row = tx.conn.execute(select(table).order_by(table.c.seq.desc()).limit(1)).one_or_none()
    return None if row is None else Seal(store=tx.store, **{field: getattr(row, field) for field in _FIELDS})


def since(tx: Tx, moment: datetime) -> list[str]:
    """The segment files with the entries between this moment and the current beginning of the trail."""
    query = select(table.c.file).where(table.c.last_at >= iso(moment)).order_by(table.c.seq)
    return list(tx.conn.execute(query).scalars())


def removable(tx: Tx, before: datetime, most: int) -> Span:
    """The oldest entries up to this moment, at most `limit`, and before the first of any open incident."""
    sealed = newest(tx)
    first = sealed.seq + 1 if sealed is not None else 1
    words, last = (
        "there is no later entry",
        tx.conn.execute(select(func.coalesce(func.max(entries.c.seq), 0))).scalar_one(),
    )
    for end, why in (
        (_first(tx, entries.c.at >= iso(before)), f"it is of {iso(before)[:10]} or later"),
        (_first(tx, entries.c.incident.in_(_open_ids())), "the story of an incident that is not over begins there"),
        (first + most, f"a segment holds {most} entries at most: seal the next ones into another"),
    ):
        if end is not None and end - 1 < last:
            last, words = end - 1, why
    last_at = tx.conn.execute(select(entries.c.at).where(entries.c.seq == last)).scalar_one_or_none() or ""
    return Span(first, last, last_at, words)


def _first(tx: Tx, those: ColumnElement[bool]) -> int | None:
    seq: int | None = tx.conn.execute(select(func.min(entries.c.seq)).where(those)).scalar_one()
    return seq


def _open_ids() -> Select[tuple[str]]:
    named = literal("INC-").concat(cast(incidents.c.number, String))
    return select(named).where(incidents.c.state != State.RESOLVED)


def remove(tx: Tx, seal: Seal, file: str) -> str | None:
    """Remove the entries of the seal's segment from the trail; returns in words why that is refused.

    `tx` must come from `Store.record`, of the role that owns the tables. Only entries of the segment are removed: the
    last entry's hash vouches for all before it.
    """
    span = removable(tx, tx.now, seal.seq)
    here = tx.conn.execute(select(entries.c.hash).where(entries.c.seq == seal.seq)).scalar_one_or_none()
    if span.first != seal.first or here != seal.hash:
        return f"the trail goes on from entry {span.first}, and the segment holds other entries than the trail"
    if span.last < seal.seq:
        return f"entry {span.last + 1} stays: {span.kept_by}"
    row = {field: getattr(seal, field) for field in _FIELDS}
    tx.conn.execute(insert(table).values(**row, file=file))
    append(
        tx,
        actor="keeping",
        phase="outcome",
        what="trail.sealed",
        reason=f"entries {seal.first} to {seal.seq} left for a sealed segment",
        data={"first": seal.first, "last": seal.seq, "hash": seal.hash},
        content={"file": file},
    )
    tx.conn.execute(delete(trail_contents).where(trail_contents.c.seq <= seal.seq))
    tx.conn.execute(delete(entries).where(entries.c.seq <= seal.seq))
    kill_point("entries_removed")
    return None


FACTS = (
    TableFacts(
        table=table,
        restore=Unchanged("the chain goes on from the last one"),
        retention=Unchanged("they vouch for what left"),
        times=(),
    ),
)
