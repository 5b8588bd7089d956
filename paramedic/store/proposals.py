"""Proposals: what runbooks in observe mode would have done. Made where the guardrails are judged, and judged later."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, insert, select, update

from paramedic.errors import Refused
from paramedic.incidents.outcome import Ending
from paramedic.machine.clock import iso
from paramedic.remediation.guardrail import Refusal
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.observed_paging import Paging
from paramedic.remediation.proposal import Proposal, Verdict
from paramedic.remediation.remedy import Remedy
from paramedic.remediation.target import Identity
from paramedic.store import Tx, incidents, intents
from paramedic.store.claims import Claim
from paramedic.store.guardrail_facts import NOTHING_AROUND, Around
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import proposals
from paramedic.store.trail import append

#: Guardrails that say that this run has no say any more: what they refuse is no proposal.
_NOT_OURS = ("incident", "claim")

#: A run that was to judge a proposal and is silent for so long after its time is lost.
_LATE = timedelta(minutes=2)


def make(
    tx: Tx,
    claim: Claim,
    remedy: Remedy,
    *,
    identity: Identity,
    why: str,
    limits: Guardrails,
    today: Guardrails,
    paging: Paging,
    within: timedelta,
    around: Around = NOTHING_AROUND,
) -> Proposal:
    """Write down what would be done now, were the runbook in `mode: act`. Idempotent for the same attempt and rung.

    `why` is what was seen just before; the proposal is judged `within` from now. Raises Refused where another run, or a
    person, has the incident.
    """
    known = _of_rung(tx, claim, remedy.rung)
    if known is not None:
        return known
    refusal = intents.would_refuse(
        tx, claim, remedy, identity=identity, limits=_acting(limits), today=_acting(today), around=around
    )
    if refusal is not None and refusal.guardrail in _NOT_OURS:
        raise Refused(
            f"{remedy.name} of {claim.target}: {refusal.reason} ({refusal.guardrail})", by_hand=refusal.by_hand
        )
    made = _insert(tx, claim, remedy, identity, why, refusal, paging, within)
    append(
        tx,
        actor=claim.holder,
        phase="decision",
        what="proposal.made",
        incident=claim.incident,
        target=claim.target,
        reason=f"{made.words}: {why}",
        data={
            "proposal": made.id,
            "attempt": claim.attempt,
            "rung": remedy.rung,
            "remedy": remedy.name,
            "refused_by": made.refused_by,
            "identity": identity.as_json(),
            "judge_by": iso(made.judge_by),
        },
    )
    return made


def _insert(  # noqa: PLR0917 - the columns
    tx: Tx,
    claim: Claim,
    remedy: Remedy,
    identity: Identity,
    why: str,
    refusal: Refusal | None,
    paging: Paging,
    within: timedelta,
) -> Proposal:
    number: int = tx.conn.execute(
        insert(proposals)
        .values(
            incident=claim.incident,
            attempt=claim.attempt,
            rung=remedy.rung,
            target=claim.target,
            runbook=incidents.get(tx, claim.incident).runbook or "",
            remedy=remedy.name,
            why=why,
            identity=identity.as_json(),
            refused_by=refusal.guardrail if refusal else None,
            refusal=refusal.reason if refusal else None,
            paging=paging,
            made_at=tx.now,
            judge_by=tx.now + within + _LATE,
        )
        .returning(proposals.c.id)
    ).scalar_one()
    return get(tx, number)


def judge(tx: Tx, proposal: Proposal, verdict: Verdict, why: str, *, actor: str) -> Proposal:
    """Write the verdict, once; `why` is what was seen at its end."""
    unjudged = update(proposals).where(proposals.c.id == proposal.id, proposals.c.verdict.is_(None))
    if not tx.conn.execute(unjudged.values(verdict=verdict, verdict_why=why, judged_at=tx.now)).rowcount:
        return get(tx, proposal.id)
    judged = get(tx, proposal.id)
    append(
        tx,
        actor=actor,
        phase="outcome",
        what="proposal.judged",
        incident=proposal.incident,
        target=proposal.target,
        reason=judged.judged,
        data={"proposal": proposal.id, "verdict": verdict.value},
    )
    return judged


def get(tx: Tx, proposal: int) -> Proposal:
    """The proposal with this number."""
    return _proposal(tx.conn.execute(select(proposals).where(proposals.c.id == proposal)).one())


def of(tx: Tx, incident: int) -> list[Proposal]:
    """Every proposal of the incident, oldest first."""
    query = select(proposals).where(proposals.c.incident == incident).order_by(proposals.c.id)
    return [_proposal(row) for row in tx.conn.execute(query)]


def of_runbook(tx: Tx, runbook: str) -> list[Proposal]:
    """Every proposal of the runbook, oldest first."""
    query = select(proposals).where(proposals.c.runbook == runbook).order_by(proposals.c.made_at, proposals.c.id)
    return [_proposal(row) for row in tx.conn.execute(query)]


def overdue(tx: Tx) -> list[Proposal]:
    """Proposals that nobody has judged, though their time is over: the run that was to do it was lost."""
    query = select(proposals).where(proposals.c.verdict.is_(None), proposals.c.judge_by <= tx.now)
    return [_proposal(row) for row in tx.conn.execute(query.order_by(proposals.c.id))]


def pages_first_alone(tx: Tx, incident: int) -> bool:
    """Whether the incident was only observed, and its pages stay with the first person of its policy."""
    if incidents.get(tx, incident).ending is not Ending.OBSERVED:
        return False
    made = of(tx, incident)
    return bool(made) and made[-1].paging is not Paging.ALL


def _of_rung(tx: Tx, claim: Claim, rung: int) -> Proposal | None:
    query = select(proposals).where(
        proposals.c.incident == claim.incident, proposals.c.attempt == claim.attempt, proposals.c.rung == rung
    )
    row = tx.conn.execute(query).one_or_none()
    return None if row is None else _proposal(row)


def _acting(guardrails: Guardrails) -> Guardrails:
    """The same, of a runbook that acts."""
    return replace(guardrails, mode="act") if guardrails.mode == "observe" else guardrails


def _proposal(row: Row[Any]) -> Proposal:
    read = {
        "identity": Identity.from_json(row.identity),
        "paging": Paging(row.paging),
        "verdict": None if row.verdict is None else Verdict(row.verdict),
    }
    return Proposal(**{field: getattr(row, field) for field in Proposal.__slots__} | read)


FACTS = (
    TableFacts(
        table=proposals,
        restore=Unchanged("one that nobody judged stays so; its incident goes on like any other"),
        retention=Unchanged("a runbook's record is counted from them"),
        times=((proposals.c.judge_by, proposals.c.verdict.is_(None)),),
    ),
)
