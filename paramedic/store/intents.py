"""The intent before a change to production, with every guardrail read in its transaction (P9)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import update

from paramedic.alerts.alert import Severity
from paramedic.machine.clock import iso
from paramedic.remediation.figures import Figure
from paramedic.remediation.guardrail import Case, Refusal
from paramedic.remediation.guardrail_rules import Guardrails, agreed, judge
from paramedic.remediation.health import Health, Sight
from paramedic.remediation.quorum import Members
from paramedic.remediation.remedy import Remedy
from paramedic.remediation.target import Identity
from paramedic.remediation.touched import Touched
from paramedic.store import Tx, acts, breakers, guardrail_facts, incidents
from paramedic.store.acts import Act
from paramedic.store.claims import Claim
from paramedic.store.guardrail_facts import NOTHING_AROUND, Around, Change, Run, grant_of
from paramedic.store.tables import grants
from paramedic.store.trail import append


def would_refuse(
    tx: Tx,
    claim: Claim,
    remedy: Remedy,
    *,
    identity: Identity,
    limits: Guardrails,
    today: Guardrails | None = None,
    around: Around = NOTHING_AROUND,
    about: Sequence[Mapping[str, str]] = (),
) -> Refusal | None:
    """The refusal that `intend` would give now. Advice, not permission: nothing is written."""
    asked = _Asked(claim, remedy.rung, remedy.on_trail, identity, around, about)
    return _judged(tx, asked, limits=limits, today=today)[0]


class _Asked(NamedTuple):
    """The change that is asked for."""

    claim: Claim
    rung: int
    remedy: str  # its name on the trail
    identity: Identity
    around: Around
    about: Sequence[Mapping[str, str]]  # what it is about, as the incident's alerts say it


def _judged(tx: Tx, asked: _Asked, *, limits: Guardrails, today: Guardrails | None) -> tuple[Refusal | None, list[str]]:
    """The first refusal by either version of the runbook; without one, the guardrails that agreed."""
    claim = asked.claim
    incident = incidents.get(tx, claim.incident)
    case = Case(
        now=tx.now,
        incident=incident.id,
        service=incident.service,
        target=claim.target,
        severity=incident.severity,
        identity=asked.identity,
        about=asked.about,
    )
    run = Run(incident, claim, asked.rung)
    change = Change(incident.service, claim.target, incident.runbook, run, asked.remedy, asked.around)
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
    around: Around = NOTHING_AROUND,
    figures: Sequence[Figure] = (),
    about: Sequence[Mapping[str, str]] = (),
) -> Act | Refusal:
    """Write the intent and spend the grant, or write the refusal, in one transaction of `Store.record`.

    `limits` are those of the incident's own runbook, `today` those of its file as it is now: both must agree. `around` is
    what was read of the target's surroundings just before, `figures` what was measured of the target, `about` what the
    change is about, as alerts say it: on the trail it can be erased later.
    """
    asked = _Asked(claim, rung, remedy, identity, around, about)
    refusal, words = _judged(tx, asked, limits=limits, today=today)
    if refusal is not None:
        _record_refusal(tx, claim, rung, remedy, refusal)
        breakers.refused(tx, claim, remedy, refusal)
        return refusal
    tx.conn.execute(update(grants).where(*grant_of(claim, rung)).values(state="spent"))
    act = acts.begin(tx, claim, rung=rung, remedy=remedy, identity=identity, deadline=deadline, figures=figures)
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
        content={"about": [dict(one) for one in about]} if about else None,
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
    remedy: str,
    limits: Guardrails,
    touched: tuple[Touched, ...] = (),
    incident: str = "the incident",
) -> Refusal | None:
    """The refusal that a change of this target would get now, by a run with claim and grant. Writes nothing, permits nothing.

    `touched` are the services that the change touches: another target of theirs counts as healthy as long as the store knows
    nothing against it.
    """
    case = Case(
        now=tx.now,
        incident=incident,
        service=service,
        target=target,
        severity=severity,
        identity=Identity(""),
    )
    others = {other for each in touched for other in each.others}
    assumed = Members(tx.now, dict.fromkeys(others, Health(Sight.WELL, "nothing is known against it")))
    change = Change(service, target, runbook, None, remedy, Around(assumed, touched=touched))
    return judge(case, guardrail_facts.seen(tx, change, limits), limits)
