"""Attempts: one run of the playbook at an incident. Raised by compare-and-set; unused grants of the last one are revoked."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, exists, func, insert, or_, select, update

from paramedic.incidents.incident import Incident, State
from paramedic.remediation.remedy import UNDO_RUNG
from paramedic.store import Tx, approvals, incidents, outbox
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import acts, attempts, grants
from paramedic.store.tables import incidents as incident_rows
from paramedic.store.tables import outbox as orders
from paramedic.store.trail import append


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of the playbook at an incident."""

    incident: int
    attempt: int
    state: str  # open, closed, given_up
    raised_at: datetime
    dispatched_at: datetime | None
    flow_run: str | None
    began_at: datetime | None


def get(tx: Tx, number: int, attempt: int) -> Attempt | None:
    """The attempt with its current state."""
    row = tx.conn.execute(
        select(attempts).where(attempts.c.incident == number, attempts.c.attempt == attempt)
    ).one_or_none()
    return None if row is None else _attempt(row)


def of(tx: Tx, number: int) -> list[Attempt]:
    """All attempts, oldest first."""
    query = select(attempts).where(attempts.c.incident == number).order_by(attempts.c.attempt)
    return [_attempt(row) for row in tx.conn.execute(query)]


def open_attempts(tx: Tx) -> list[Attempt]:
    """Every attempt that has not ended, of every incident, for the watchdog."""
    query = select(attempts).where(attempts.c.state == "open").order_by(attempts.c.raised_at)
    return [_attempt(row) for row in tx.conn.execute(query)]


def without_work(tx: Tx, *, number: int | None = None) -> list[int]:
    """The incidents of automation on which nothing works: of all, or of the one given.

    An incident is worked on if its open attempt has begun, is in Prefect, or is in the outbox.
    """
    ordered = exists().where(
        orders.c.state == "waiting", orders.c.incident == attempts.c.incident, orders.c.attempt == attempts.c.attempt
    )
    given = or_(attempts.c.began_at.is_not(None), attempts.c.dispatched_at.is_not(None), ordered)
    worked_on = select(attempts.c.incident).where(attempts.c.state == "open", given)
    query = select(incident_rows.c.number).where(
        incident_rows.c.state.in_((State.OPEN, State.WORKING)), incident_rows.c.number.not_in(worked_on)
    )
    if number is not None:
        query = query.where(incident_rows.c.number == number)
    return list(tx.conn.execute(query).scalars())


def rungs_of(tx: Tx, number: int) -> int:
    """The number of remedies on its ladder."""
    query = select(func.max(grants.c.rung)).where(grants.c.incident == number, grants.c.rung < UNDO_RUNG)
    return tx.conn.execute(query).scalar_one() or 0


def is_granted(tx: Tx, number: int, attempt: int, rung: int) -> bool:
    """Whether this attempt still has the grant for this rung: neither spent, by it or an earlier one, nor revoked."""
    mine = (grants.c.incident == number) & (grants.c.attempt == attempt) & (grants.c.rung == rung)
    return tx.conn.execute(select(grants.c.state).where(mine)).scalar_one_or_none() == "open"


def grant_undo(tx: Tx, number: int, attempt: int, rung: int) -> None:
    """Permit this attempt to undo what it did, once; `rung` is that of the undoing. Idempotent; nothing is granted anew."""
    mine = (grants.c.incident == number) & (grants.c.attempt == attempt) & (grants.c.rung == rung)
    if tx.conn.execute(select(grants.c.state).where(mine)).first() is None:
        target = incidents.get(tx, number).target
        tx.conn.execute(insert(grants).values(incident=number, attempt=attempt, rung=rung, target=target, state="open"))


def raise_attempt(
    tx: Tx, number: int, *, after: int, rungs: int, reason: str, actor: str = "watchdog", again: bool = False
) -> bool:
    """Start attempt `after` + 1 of the incident, by one compare-and-set. False: another process already did.

    The attempt before is given up: its unused grants are revoked, and a rung that was ever consumed is not
    granted again, whatever its outcome (P4). Two exceptions. By the author's word (`again`): a rung whose act was verified
    well. Nothing of it is open or unknown; the guardrails judge the repetition. By a person's retry: the whole ladder, for
    the attempts since then; what they consume counts.
    """
    raised = tx.conn.execute(
        update(incident_rows)
        .where(
            incident_rows.c.number == number,
            incident_rows.c.attempt == after,
            incident_rows.c.state.in_((State.OPEN, State.WORKING)),
        )
        .values(attempt=after + 1)
    )
    if raised.rowcount != 1:
        return False
    if after:
        end_attempts(tx, number, "given_up")
    incident = incidents.get(tx, number)
    tx.conn.execute(
        insert(attempts).values(incident=number, attempt=after + 1, state="open", raised_at=tx.now, reason=reason)
    )
    consumed = _consumed(tx, incident, again=again) if after else set()
    for rung in range(1, rungs + 1):
        if rung not in consumed:
            tx.conn.execute(
                insert(grants).values(
                    incident=number, attempt=after + 1, rung=rung, target=incident.target, state="open"
                )
            )
    outbox.put(tx, incident=number, attempt=after + 1)
    append(
        tx,
        actor=actor,
        phase="decision",
        what="attempt.raised",
        incident=number,
        target=incident.target,
        reason=reason,
        data={"attempt": after + 1},
    )
    return True


def _consumed(tx: Tx, incident: Incident, *, again: bool) -> set[int]:
    """The rungs that no further attempt has, but by a person's retry."""
    free = ("not_sent", "cured") if again else ("not_sent",)
    used = (acts.c.result.is_(None)) | (acts.c.result.not_in(free))
    since = acts.c.attempt >= (incident.retried_attempt or 0)
    return set(tx.conn.execute(select(acts.c.rung).where(acts.c.incident == incident.number, since, used)).scalars())


def end_attempts(tx: Tx, number: int, state: str) -> None:
    tx.conn.execute(
        update(attempts)
        .where(attempts.c.incident == number, attempts.c.state == "open")
        .values(state=state, ended_at=tx.now)
    )
    tx.conn.execute(update(grants).where(grants.c.incident == number, grants.c.state == "open").values(state="revoked"))
    approvals.void(tx, number)
    outbox.withdraw(tx, number)


def begin_attempt(tx: Tx, number: int, attempt: int, *, flow_run: str) -> str | None:
    """Begin the attempt; returns in words why this run may not. The same run may begin again; another may not."""
    incident = incidents.get(tx, number)
    known = get(tx, number, attempt)
    if known is None:
        return f"{incident.id} has no attempt {attempt}"
    if known.state != "open":
        return f"attempt {attempt} at {incident.id} is over ({known.state}); a run is not a permission to act again"
    if incident.attempt != attempt:
        return f"attempt {incident.attempt} has {incident.id}, not attempt {attempt}"
    if incident.state not in (State.OPEN, State.WORKING):
        return f"{incident.id} is {incident.state}: it is not automation's to work on"
    if known.began_at is not None and known.flow_run != flow_run:
        return f"flow run {known.flow_run} already works on attempt {attempt} at {incident.id}"
    first = known.began_at is None
    tx.conn.execute(
        update(attempts)
        .where(attempts.c.incident == number, attempts.c.attempt == attempt)
        .values(flow_run=flow_run, began_at=known.began_at or tx.now)
    )
    incidents.set_state(tx, incident, State.WORKING)
    append(
        tx,
        actor=f"run:{flow_run}",
        phase="decision",
        what="attempt.began" if first else "attempt.began_again",
        incident=number,
        target=incident.target,
        reason=f"attempt {attempt} works on it",
        data={"attempt": attempt, "flow_run": flow_run},
    )
    return None


def dispatched(tx: Tx, number: int, attempt: int, *, flow_run: str) -> None:
    """Record the attempt's run in Prefect, once; a run that began before Prefect's answer came stays as it is."""
    tx.conn.execute(
        update(attempts)
        .where(attempts.c.incident == number, attempts.c.attempt == attempt)
        .values(dispatched_at=tx.now, flow_run=func.coalesce(attempts.c.flow_run, flow_run))
    )
    append(
        tx,
        actor="dispatch",
        phase="outcome",
        what="run.created",
        incident=number,
        reason=f"Prefect has the run of attempt {attempt}",
        data={"attempt": attempt, "flow_run": flow_run},
    )


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(**{field: getattr(row, field) for field in Attempt.__slots__})


#: What nobody has heard of for too long, since one of these.
_WAITED_FROM = (attempts.c.raised_at, attempts.c.dispatched_at, attempts.c.began_at)

FACTS = (
    TableFacts(
        table=attempts,
        restore=Unchanged("they end with the handing over of their incident"),
        retention=Unchanged("kept with their incident"),
        times=tuple((column, attempts.c.state == "open") for column in _WAITED_FROM),
    ),
    TableFacts(
        table=grants,
        restore=Unchanged("they are revoked with the handing over of their incident"),
        retention=Unchanged("what was consumed is never granted again"),
        times=(),
    ),
)
