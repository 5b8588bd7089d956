"""Looks at what a remedy has cured: planned with the cure, taken when they are due, each judged once."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Row, Select, insert, select, true, update

from paramedic.incidents.incident import name
from paramedic.incidents.outcome import Ending
from paramedic.remediation.cure import LOOKS_AFTER, NOT_HELD, CureLook, Held
from paramedic.remediation.target import Identity
from paramedic.store import Tx, incidents, lifecycle
from paramedic.store.acts import Act
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import acts, cure_looks
from paramedic.store.tables import incidents as incident_rows
from paramedic.store.trail import append


def plan(tx: Tx, act: Act, identity: Identity | None) -> None:
    """Plan the looks at what the act has cured just now; `identity` is the instance that was verified. Idempotent for an act."""
    if tx.conn.execute(select(cure_looks.c.act).where(cure_looks.c.act == act.id)).first() is not None:
        return
    planned = {
        "act": act.id,
        "incident": act.incident,
        "target": act.target,
        "runbook": incidents.get(tx, act.incident).runbook or "",
        "remedy": act.remedy,
        "cured_at": tx.now,
        "identity": None if identity is None else identity.as_json(),
    }
    looks = [{"after": round(after.total_seconds()), "due_at": tx.now + after} for after in LOOKS_AFTER]
    tx.conn.execute(insert(cure_looks), [planned | look for look in looks])


def due(tx: Tx) -> list[CureLook]:
    """The looks that are due and not judged, those that saw nothing before last."""
    query = _all().where(cure_looks.c.verdict.is_(None), cure_looks.c.due_at <= tx.now)
    blind = cure_looks.c.blind_since.is_not(None)
    return _read(tx, query.order_by(blind, cure_looks.c.due_at, cure_looks.c.act))


def forgotten(tx: Tx, late: timedelta) -> list[CureLook]:
    """The looks that nobody has taken, though they have been due for so long."""
    query = _all().where(cure_looks.c.verdict.is_(None), cure_looks.c.due_at <= tx.now - late)
    return _read(tx, query.order_by(cure_looks.c.due_at))


def of(tx: Tx, incident: int) -> list[CureLook]:
    """Every look at a cure of the incident, in the order in which they are due."""
    return _read(tx, _all().where(cure_looks.c.incident == incident).order_by(cure_looks.c.due_at))


def of_runbook(tx: Tx, runbook: str) -> list[CureLook]:
    """Every look at a cure by the runbook, in the order in which they are due."""
    return _read(tx, _all().where(cure_looks.c.runbook == runbook).order_by(cure_looks.c.due_at, cure_looks.c.act))


def came_back(tx: Tx, look: CureLook) -> str | None:
    """The incident that says that the same fault began again at the target after the cure; None if none does.

    One that was well by itself before anything was done says nothing.
    """
    own = incidents.get(tx, look.incident)
    if own.reopened_at is not None and own.reopened_at > look.cured_at:
        return f"{own.id}, opened again,"
    alike = incident_rows.c.title == own.title
    if own.runbook is not None:
        alike |= incident_rows.c.runbook == own.runbook
    began = (incident_rows.c.target == look.target) & (incident_rows.c.opened_at > look.cured_at)
    real = incident_rows.c.ending.is_(None) | (incident_rows.c.ending != Ending.RECOVERED)
    query = select(incident_rows.c.number).where(incident_rows.c.service == own.service, began, alike, real)
    number = tx.conn.execute(query.order_by(incident_rows.c.number).limit(1)).scalar_one_or_none()
    return None if number is None else name(number)


def saw_nothing(tx: Tx, look: CureLook) -> None:
    """Note the first look that saw nothing: it is taken again."""
    first = update(cure_looks).where(*_is(look), cure_looks.c.blind_since.is_(None))
    tx.conn.execute(first.values(blind_since=tx.now))


def judge(tx: Tx, look: CureLook, verdict: Held, why: str, *, actor: str) -> CureLook:
    """Write the verdict, once, onto the incident's timeline too; its channels hear of what did not hold."""
    unjudged = update(cure_looks).where(*_is(look), cure_looks.c.verdict.is_(None))
    if not tx.conn.execute(unjudged.values(verdict=verdict, why=why, looked_at=tx.now)).rowcount:
        return _get(tx, look)
    judged = _get(tx, look)
    append(
        tx,
        actor=actor,
        phase="outcome",
        what=f"cure.{verdict}",
        incident=look.incident,
        target=look.target,
        reason=judged.words,
        data={"of_act": look.act, "after_seconds": look.after.total_seconds(), "remedy": look.remedy},
    )
    if verdict in NOT_HELD:
        lifecycle.update_channels(tx, look.incident, judged.words)
    return judged


def _all() -> Select[Any]:
    return select(cure_looks, acts.c.identity.label("before")).join(acts, acts.c.id == cure_looks.c.act)


def _is(look: CureLook) -> tuple[Any, ...]:
    return cure_looks.c.act == look.act, cure_looks.c.after == round(look.after.total_seconds())


def _get(tx: Tx, look: CureLook) -> CureLook:
    return _look(tx.conn.execute(_all().where(*_is(look))).one())


def _read(tx: Tx, query: Select[Any]) -> list[CureLook]:
    return [_look(row) for row in tx.conn.execute(query)]


def _look(row: Row[Any]) -> CureLook:
    read = {
        "after": timedelta(seconds=row.after),
        "before": Identity.from_json(row.before),
        "identity": None if row.identity is None else Identity.from_json(row.identity),
        "verdict": None if row.verdict is None else Held(row.verdict),
    }
    return CureLook(**{field: getattr(row, field) for field in CureLook.__slots__} | read)


FACTS = (
    TableFacts(
        table=cure_looks,
        restore=Unchanged("what was due meanwhile is looked at late, and says how much later that is"),
        retention=Unchanged("a runbook's record is counted from them"),
        # what is due, and what is compared with when incidents were opened
        times=(
            (cure_looks.c.due_at, cure_looks.c.verdict.is_(None)),
            (cure_looks.c.blind_since, cure_looks.c.verdict.is_(None)),
            (cure_looks.c.cured_at, true()),
        ),
    ),
)
