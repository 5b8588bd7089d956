"""Mass failure: when many checks break at once, or the control probes are silent, nothing acts and one page says so."""

from typing import Any

from sqlalchemy import Select, delete, func, insert, select

from paramedic.checks.threshold import Level
from paramedic.store import Tx, storms
from paramedic.store.messages import queue_internal_alert
from paramedic.store.tables import check_states as states
from paramedic.store.tables import pauses
from paramedic.store.trail import append

#: The pause that the checks hold, beside an operator's.
SCOPE = "mass"

#: Why it holds while no control probe answers.
BLIND = "we cannot see: no control probe answers"

_BY = "checks"

#: The page about the same mass failure is repeated after this many minutes at the earliest.
_PAGE_MINUTES = 30


def current(tx: Tx) -> str | None:
    """Why acts are paused by a mass failure, in words; None if they are not."""
    return tx.conn.execute(select(pauses.c.reason).where(pauses.c.scope == SCOPE)).scalar_one_or_none()


def judge(tx: Tx, *, blind: bool, limit: int) -> str | None:
    """Begin or end a mass failure by the current states; returns why it holds, or None. `tx` must come from `Store.record`.

    `blind`: every control probe is silent. Else it takes `limit` checks (each at its target), or over half of the
    services, two at least, whose last fresh sample is a breach.
    """
    before = current(tx)
    why = BLIND if blind else _many(tx, limit)
    if why is not None and before is not None and (why == BLIND) == (before == BLIND):
        return before  # the first words stand, so that one mass failure is one entry and one page
    if before is not None:
        since = tx.conn.execute(delete(pauses).where(pauses.c.scope == SCOPE).returning(pauses.c.since)).scalar_one()
        if before == BLIND:
            storms.blind_after(tx, since)
        else:
            storms.over(tx, before)
        append(tx, actor=_BY, phase="decision", what="acts.resumed", reason=f"over: {before}", data={"scope": SCOPE})
    if why is not None:
        tx.conn.execute(insert(pauses).values(scope=SCOPE, by=_BY, reason=why, since=tx.now))
        append(tx, actor=_BY, phase="decision", what="acts.paused", reason=why, data={"scope": SCOPE})
        queue_internal_alert(
            tx,
            subject="We cannot see" if why == BLIND else "Much is broken at once",
            body=f"{why}.\n\nNothing is changed anywhere until that ends, and no check opens an incident meanwhile: "
            "this page stands for all of them. What is broken: `paramedic check list`.",
            same_within_minutes=_PAGE_MINUTES,
        )
    return why


def _many(tx: Tx, limit: int) -> str | None:
    """Why this is a mass failure: too many checks, or more than half of the services; None if it is not one."""
    fresh = states.c.stale_at > tx.now
    broken = (states.c.known != Level.OK, states.c.unknown_since.is_(None), fresh)
    places = select(states.c.runbook, states.c.name, states.c.target).where(*broken).distinct()
    count = _count(tx, places)
    sick = _count(tx, select(states.c.service).where(*broken).distinct())
    services = _count(tx, select(states.c.service).where(fresh).distinct())
    if count >= limit:
        return f"{count} checks are broken at once, and {limit} is the limit"
    if sick >= 2 and 2 * sick > services:
        return f"{sick} of {services} services are broken at once, more than half"
    return None


def _count(tx: Tx, query: Select[Any]) -> int:
    return tx.conn.execute(select(func.count()).select_from(query.subquery())).scalar_one()
