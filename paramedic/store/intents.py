"""The intent before a change to production, with every guardrail read in its transaction (P9)."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import update

from paramedic.alerts.alert import Severity
from paramedic.machine.clock import iso
from paramedic.remediation.guardrail import Case, Refusal
from paramedic.remediation.guardrail_rules import Guardrails, agreed, judge
from paramedic.remediation.target import Identity
from paramedic.store import Tx, acts, guardrail_facts, incidents
from paramedic.store.acts import Act
from paramedic.store.claims import Claim
from paramedic.store.guardrail_facts import Change, Run, grant_of
from paramedic.store.tables import grants
from paramedic.store.trail import append


def would_refuse(
    tx: Tx, claim: Claim, *, rung: int, identity: Identity, limits: Guardrails, today: Guardrails | None = None
) -> Refusal | None:
    """The refusal that `intend` would give now. Advice, not permission: nothing is written."""
    return _judged(tx, claim, rung=rung, identity=identity, limits=limits, today=today)[0]


def _judged(
    tx: Tx, claim: Claim, *, rung: int, identity: Identity, limits: Guardrails, today: Guardrails | None
) -> tuple[Refusal | None, list[str]]:
    """The first refusal by either version of the runbook; without one, the guardrails that agreed."""
    incident = incidents.get(tx, claim.incident)
    case = Case(
        now=tx.now,
        incident=incident.id,
        service=incident.service,
        target=claim.target,
        severity=incident.severity,
        identity=identity,
    )
    change = Change(incident.service, claim.target, incident.runbook, Run(incident, claim, rung))
    seen = guardrail_facts.seen(tx, change, limits)
    refusal, words = judge(case, seen, limits), agreed(case, seen, limits)
    if refusal is not None or today is None or today == limits:
        return refusal, words
    seen = guardrail_facts.seen(tx, change, today)
    refusal = judge(case, seen, today)
    if refusal is not None and today.withdrawn is None:
        refusal = replace(refusal, reason=f"by the runbook as it is now, not as it was: {refusal.reason}")
    return refusal, words + [
        f"as it is now: {guardrail}" for guardrail in agreed(case, seen, today) if guardrail not in words
    ]


def intend(
    tx: Tx,
    claim: Claim,
    *,
    rung: int,
    remedy: str,
    identity: Identity,
    deadline: timedelta,
    limits: Guardrails,
    today: Guardrails | None = None,
) -> Act | Refusal:
    """Write the intent and spend the grant, or write the refusal, in one transaction of `Store.record`.

    `limits` are those of the incident's own runbook, `today` those of its file as it is now: both must agree.
    """
    refusal, words = _judged(tx, claim, rung=rung, identity=identity, limits=limits, today=today)
    if refusal is not None:
        _record_refusal(tx, claim, rung, remedy, refusal)
        return refusal
    tx.conn.execute(update(grants).where(*grant_of(claim, rung)).values(state="spent"))
    act = acts.begin(tx, claim, rung=rung, remedy=remedy, identity=identity, deadline=deadline)
    append(
        tx,
        actor=claim.holder,
        phase="intent",
        what=acts.verb_of(remedy),
        incident=claim.incident,
        target=claim.target,
        reason=acts.reason_for(remedy, "every guardrail agrees"),
        data={
            "act": act.id,
            "attempt": claim.attempt,
            "rung": rung,
            "token": claim.token,
            "deadline": iso(tx.now + deadline),
            "identity": identity.as_json(),
            "guardrails": words,
        }
        | acts.data_for(remedy),
    )
    return act


def _record_refusal(tx: Tx, claim: Claim, rung: int, remedy: str, refusal: Refusal) -> None:
    append(
        tx,
        actor=claim.holder,
        phase="decision",
        what=f"{acts.verb_of(remedy)}.refused",
        incident=claim.incident,
        target=claim.target,
        reason=acts.reason_for(remedy, refusal.reason),
        data={"guardrail": refusal.guardrail, "attempt": claim.attempt, "rung": rung} | acts.data_for(remedy),
    )


def foreseen(
    tx: Tx,
    *,
    service: str,
    target: str,
    runbook: str,
    severity: Severity,
    limits: Guardrails,
    incident: str = "the incident",
) -> Refusal | None:
    """The refusal that a change of this target would get now, by a run with claim and grant. Writes nothing, permits nothing."""
    case = Case(
        now=tx.now,
        incident=incident,
        service=service,
        target=target,
        severity=severity,
        identity=Identity(""),
    )
    return judge(case, guardrail_facts.seen(tx, Change(service, target, runbook, None), limits), limits)
