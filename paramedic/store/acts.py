"""Changes to production: the intent before, with every guardrail read in its transaction (P9), the outcome after."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from sqlalchemy import ColumnElement, Row, false, func, insert, select, update

from paramedic.alerts.alert import Severity
from paramedic.catalog.runbook import Runbook
from paramedic.incidents.incident import State, name
from paramedic.machine.clock import iso
from paramedic.remediation.guardrail import Facts, Refusal, Spent, Spread, agreed, asks, judge
from paramedic.remediation.remedy import Remedy
from paramedic.remediation.target import Identity
from paramedic.store import Tx, approvals, claims, incidents, kill_switch, maintenance
from paramedic.store.claims import Claim
from paramedic.store.facts import TableFacts, Unchanged
from paramedic.store.tables import acts, grants
from paramedic.store.tables import incidents as incident_rows
from paramedic.store.trail import append


@dataclass(frozen=True, slots=True)
class Act:
    """One change: the remedy, the target's instance, its deadline, and its result (None: open)."""

    id: int
    incident: int
    attempt: int
    rung: int
    target: str
    remedy: str
    holder: str
    identity: Identity
    written_at: datetime
    deadline_at: datetime
    result: str | None

    @property
    def words(self) -> str:
        """The act, its incident and its time, in words."""
        when = f"attempt {self.attempt}, {iso(self.written_at)}"
        return f"the {self.remedy} of {self.target} by {name(self.incident)} ({when})"


@dataclass(frozen=True, slots=True)
class Limits:
    """The runbook's guardrails for one change."""

    mode: str
    cooldown: timedelta | None
    budget: tuple[int, timedelta] | None  # of one target
    service_budget: tuple[int, timedelta] | None = None  # of all targets of the service
    at_once: tuple[int, int] | None = None  # targets of the service, of so many listed

    asks_from: Severity | None = None  # from which severity on a person must approve it
    withdrawn: str | None = None  # why the runbook no longer allows this change at all

    @classmethod
    def of(cls, runbook: Runbook, remedy: Remedy) -> Self:
        """The runbook's limits for this remedy."""
        asked = runbook.guardrails
        return cls(
            mode=runbook.mode,
            cooldown=asked.cooldown,
            budget=(asked.budget.count, asked.budget.per) if asked.budget else None,
            service_budget=(asked.service_budget.count, asked.service_budget.per) if asked.service_budget else None,
            at_once=(asked.at_once.count, asked.at_once.of) if asked.at_once else None,
            asks_from=runbook.asks_from(remedy),
        )

    @classmethod
    def nothing(cls, why: str) -> Self:
        """The limits of a runbook that allows nothing any more."""
        return cls("observe", None, None, withdrawn=why)


#: Results that say the target was touched, or may have been.
TOUCHED = ("done", "cured", "failed", "unknown", "decided")


def would_refuse(
    tx: Tx, claim: Claim, *, rung: int, identity: Identity, limits: Limits, today: Limits | None = None
) -> Refusal | None:
    """The refusal that `intend` would give now. Advice, not permission: nothing is written."""
    return _judged(tx, claim, rung=rung, identity=identity, limits=limits, today=today)[0]


def _judged(
    tx: Tx, claim: Claim, *, rung: int, identity: Identity, limits: Limits, today: Limits | None
) -> tuple[Refusal | None, list[str]]:
    """The first refusal by either version of the runbook; without one, the guardrails that agreed."""
    facts = _facts(tx, claim, rung=rung, identity=identity, limits=limits)
    refusal, words = judge(facts), agreed(facts)
    if refusal is not None or today is None or today == limits:
        return refusal, words
    now = _facts(tx, claim, rung=rung, identity=identity, limits=today)
    refusal = judge(now)
    if refusal is not None and today.withdrawn is None:
        refusal = replace(refusal, reason=f"by the runbook as it is now, not as it was: {refusal.reason}")
    return refusal, words + [f"as it is now: {guardrail}" for guardrail in agreed(now) if guardrail not in words]


def intend(
    tx: Tx,
    claim: Claim,
    *,
    rung: int,
    remedy: str,
    identity: Identity,
    deadline: timedelta,
    limits: Limits,
    today: Limits | None = None,
) -> Act | Refusal:
    """Write the intent and spend the grant, or write the refusal, in one transaction of `Store.record`.

    `limits` are those of the incident's own runbook, `today` those of its file as it is now: both must agree.
    """
    refusal, words = _judged(tx, claim, rung=rung, identity=identity, limits=limits, today=today)
    if refusal is not None:
        _tell_refusal(tx, claim, rung, remedy, refusal)
        return refusal
    act = _insert(tx, claim, rung=rung, remedy=remedy, identity=identity, deadline=deadline)
    append(
        tx,
        actor=claim.holder,
        phase="intent",
        what=remedy,
        incident=claim.incident,
        target=claim.target,
        reason="every guardrail agrees",
        data={
            "act": act,
            "attempt": claim.attempt,
            "rung": rung,
            "token": claim.token,
            "deadline": iso(tx.now + deadline),
            "identity": identity.as_json(),
            "guardrails": words,
        },
    )
    return get(tx, act)


def _tell_refusal(tx: Tx, claim: Claim, rung: int, remedy: str, refusal: Refusal) -> None:
    append(
        tx,
        actor=claim.holder,
        phase="decision",
        what=f"{remedy}.refused",
        incident=claim.incident,
        target=claim.target,
        reason=refusal.reason,
        data={"guardrail": refusal.guardrail, "attempt": claim.attempt, "rung": rung},
    )


def _insert(tx: Tx, claim: Claim, *, rung: int, remedy: str, identity: Identity, deadline: timedelta) -> int:
    """Insert the act and spend its grant; returns the act's number."""
    tx.conn.execute(update(grants).where(*_grant(claim, rung)).values(state="spent"))
    act: int = tx.conn.execute(
        insert(acts)
        .values(
            incident=claim.incident,
            attempt=claim.attempt,
            rung=rung,
            target=claim.target,
            remedy=remedy,
            token=claim.token,
            holder=claim.holder,
            identity=identity.as_json(),
            written_at=tx.now,
            deadline_at=tx.now + deadline,
        )
        .returning(acts.c.id)
    ).scalar_one()
    return act


def foreseen(tx: Tx, *, service: str, target: str, runbook: str, severity: Severity, limits: Limits) -> Refusal | None:
    """The refusal that a new incident's first change of this target would get now. Writes nothing, permits nothing."""
    return judge(
        Facts(
            **_counted(tx, service=service, target=target, runbook=runbook, limits=limits, same_ladder=false()),
            incident="the incident",
            state=State.WORKING,
            attempt=1,
            current_attempt=1,
            claim_is_ours=True,
            lease_until=tx.now + timedelta(seconds=1),
            grant="open",
            asks=asks(severity, limits.asks_from),
            approval=None,
            identity=Identity(""),
        )
    )


def _facts(tx: Tx, claim: Claim, *, rung: int, identity: Identity, limits: Limits) -> Facts:
    incident = incidents.get(tx, claim.incident)
    held = claims.current(tx, claim.target)
    grant = tx.conn.execute(select(grants.c.state).where(*_grant(claim, rung))).scalar_one_or_none()
    # The rungs of one ladder are no repetition: a verification lies between them, and each has its own grant.
    same_ladder = (acts.c.incident == claim.incident) & (acts.c.attempt == claim.attempt)
    counted = _counted(
        tx,
        service=incident.service,
        target=claim.target,
        runbook=incident.runbook,
        limits=limits,
        same_ladder=same_ladder,
    )
    return Facts(
        **counted,
        incident=incident.id,
        state=incident.state,
        attempt=claim.attempt,
        current_attempt=incident.attempt,
        claim_is_ours=held is not None and held[0].token == claim.token and held[0].holder == claim.holder,
        lease_until=held[0].lease_until if held is not None and held[1] else None,
        grant=grant,
        asks=asks(incident.severity, limits.asks_from),
        approval=approvals.of(tx, claim.incident, claim.attempt, rung, claim.target),
        identity=identity,
        withdrawn=limits.withdrawn,
    )


def _counted(
    tx: Tx, *, service: str, target: str, runbook: str | None, limits: Limits, same_ladder: ColumnElement[bool]
) -> dict[str, Any]:
    """The facts about the target and its service that do not depend on the run."""
    unsettled = open_on(tx, target)
    touched = (acts.c.target == target) & acts.c.result.in_(TOUCHED)
    last_act_at = tx.conn.execute(
        select(acts.c.written_at).where(touched, ~same_ladder).order_by(acts.c.written_at.desc()).limit(1)
    ).scalar_one_or_none()
    # An act that is still open has its target to itself, and counts for the service.
    of_service = (incident_rows.c.service == service) & (acts.c.result.is_(None) | acts.c.result.in_(TOUCHED))
    return {
        "now": tx.now,
        "service": service,
        "target": target,
        "pauses": kill_switch.stopping(tx, service=service, runbook=runbook),
        "window": maintenance.covering(tx, service=service, target=target),
        "mode": limits.mode,
        "open_act": unsettled.words if unsettled else None,
        "last_act_at": last_act_at,
        "cooldown": limits.cooldown,
        "budget": _spent(tx, limits.budget, touched),
        "service_budget": _spent(tx, limits.service_budget, of_service),
        "at_once": _spread(tx, limits.at_once, service=service, target=target),
    }


def _spent(tx: Tx, budget: tuple[int, timedelta] | None, which: ColumnElement[bool]) -> Spent | None:
    if budget is None:
        return None
    count, per = budget
    query = select(acts.c.written_at).join(incident_rows, incident_rows.c.number == acts.c.incident)
    query = query.where(which, acts.c.written_at > tx.now - per).order_by(acts.c.written_at.desc())
    written: list[datetime] = list(tx.conn.execute(query).scalars())
    return Spent(len(written), count, per, written[count - 1] + per if len(written) >= count else None)


def _spread(tx: Tx, at_once: tuple[int, int] | None, *, service: str, target: str) -> Spread | None:
    """The other targets that count: with an open act, and after an act without a good verification until the incident ends."""
    if at_once is None:
        return None
    unverified = acts.c.result.is_(None) | (
        acts.c.result.in_(("done", "failed", "unknown")) & (incident_rows.c.state != State.RESOLVED)
    )
    query = select(acts.c.target).join(incident_rows, incident_rows.c.number == acts.c.incident).distinct()
    query = query.where(incident_rows.c.service == service, acts.c.target != target, unverified)
    return Spread(tuple(tx.conn.execute(query.order_by(acts.c.target)).scalars()), *at_once)


def _grant(claim: Claim, rung: int) -> tuple[Any, ...]:
    return (
        grants.c.incident == claim.incident,
        grants.c.attempt == claim.attempt,
        grants.c.rung == rung,
        grants.c.target == claim.target,
    )


def close(tx: Tx, act: Act, *, result: str, why: str, actor: str, identity: Identity | None = None) -> bool:
    """Write the outcome: done, cured, failed, not_sent, unknown. False if it has one already; the trail records either."""
    still_open: ColumnElement[bool] = acts.c.result.is_(None)
    if result == "cured":
        still_open = acts.c.result.is_(None) | (acts.c.result == "done")
    changed = tx.conn.execute(
        update(acts).where(acts.c.id == act.id, still_open).values(result=result, why=why, closed_at=tx.now)
    )
    append(
        tx,
        actor=actor,
        phase="outcome",
        what=f"{act.remedy}.{result}",
        incident=act.incident,
        target=act.target,
        reason=why if changed.rowcount else f"{why} (told too late: the act was already judged)",
        data={"act": act.id, "identity": identity.as_json() if identity else None},
    )
    return changed.rowcount == 1


def open_on(tx: Tx, target: str) -> Act | None:
    """The act on this target whose outcome is open, if there is one."""
    row = tx.conn.execute(select(acts).where(acts.c.target == target, acts.c.result.is_(None))).one_or_none()
    return None if row is None else _act(row)


def of(tx: Tx, incident: int) -> list[Act]:
    """Every act of the incident, oldest first."""
    query = select(acts).where(acts.c.incident == incident).order_by(acts.c.id)
    return [_act(row) for row in tx.conn.execute(query)]


def get(tx: Tx, act: int) -> Act:
    """The act with this number."""
    return _act(tx.conn.execute(select(acts).where(acts.c.id == act)).one())


def _act(row: Row[Any]) -> Act:
    values = {field: getattr(row, field) for field in Act.__slots__ if field != "identity"}
    return Act(**values, identity=Identity.from_json(row.identity))


def cures(tx: Tx, target: str, within: timedelta) -> int:
    """How often a change healed this target within the past period."""
    query = select(func.count()).where(
        acts.c.target == target, acts.c.result == "cured", acts.c.closed_at > tx.now - within
    )
    return tx.conn.execute(query).scalar_one()


FACTS = (
    TableFacts(
        table=acts,
        restore=Unchanged("one without its outcome stays open and blocks its target"),
        retention=Unchanged("cooldowns and budgets are counted from them, and reports show them"),
        times=((acts.c.deadline_at, acts.c.result.is_(None)),),
    ),
)
