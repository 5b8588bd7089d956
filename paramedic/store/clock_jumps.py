"""Clock jumps: timers by the store's clock are moved back with a clock that is set back."""

from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Column, ColumnElement, insert, select, type_coerce, update

from paramedic.machine.clock import from_iso, spoken
from paramedic.store import Tx
from paramedic.store.table_facts import TableFacts, Unchanged, declared
from paramedic.store.tables import clocks, trail
from paramedic.store.trail import append

#: A correction up to this is not a jump: no timer is so exact.
TOLERANCE = timedelta(seconds=5)


def in_step(tx: Tx, boot: str, steady: float) -> bool:
    """Whether the store's clock agrees with the machine's steady clock: `keep_pace` would write nothing."""
    known = _known(tx, boot)
    return known is not None and abs(_started(tx, steady) - known) <= TOLERANCE


def keep_pace(tx: Tx, boot: str, steady: float) -> timedelta:
    """Move every running timer back by as much as the store's clock was set back; returns by how much.

    `steady` is the reading of a clock that never jumps, in seconds since `boot`. After another boot
    the trail's last entry gives a lower bound of the jump. A clock set ahead moves no timer: what waits comes
    earlier, never later. `tx` must come from `Store.record`.
    """
    known, started = _known(tx, boot), _started(tx, steady)
    if known is None:
        tx.conn.execute(insert(clocks).values(boot=boot, started_at=started))
        back = _last_entry(tx) - tx.now
    else:
        tx.conn.execute(update(clocks).where(clocks.c.boot == boot).values(started_at=started))
        back = known - started
    if back <= TOLERANCE:
        return timedelta(0)
    for column, runs in (time for facts in declared() for time in facts.times):
        _move(tx, column, runs, back)
    _move(tx, clocks.c.started_at, clocks.c.boot != boot, back)  # the same clock went back for every machine
    append(
        tx,
        actor="watchdog",
        phase="outcome",
        what="clock.went_back",
        reason=f"the store's clock went back by {spoken(back)}, and with it all that waits for a moment",
    )
    return back


def _known(tx: Tx, boot: str) -> datetime | None:
    return tx.conn.execute(select(clocks.c.started_at).where(clocks.c.boot == boot)).scalar_one_or_none()


def _started(tx: Tx, steady: float) -> datetime:
    """The start of the machine's steady clock, by the store's clock."""
    return tx.now - timedelta(seconds=steady)


def _last_entry(tx: Tx) -> datetime:
    last = tx.conn.execute(select(trail.c.at).order_by(trail.c.seq.desc()).limit(1)).scalar_one_or_none()
    return tx.now if last is None else from_iso(last)


def _move(tx: Tx, column: Column[datetime], runs: ColumnElement[bool], back: timedelta) -> None:
    earlier = type_coerce(column, BigInteger) - back // timedelta(microseconds=1)
    tx.conn.execute(update(column.table).where(runs, column.is_not(None)).values({column: earlier}))


FACTS = (
    TableFacts(
        table=clocks,
        restore=Unchanged("a machine that started meanwhile adds its own row"),
        retention=Unchanged("one row a start of a machine"),
        # `keep_pace` moves them itself: by whose clock it went back decides which.
        times=(),
    ),
)
