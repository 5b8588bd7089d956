"""Observing: what a runbook would do is written down in place of the change, and judged by what comes of the target."""

import time

from paramedic.catalog.runbook import Mode
from paramedic.change.exclusive import changed_since
from paramedic.change.look import measure
from paramedic.change.members import look_around
from paramedic.change.run import Cancelled, PlaybookRun
from paramedic.doors import reading
from paramedic.errors import Refused
from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.machine.clock import boottime, spoken
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.health import Sight
from paramedic.remediation.observed_paging import Paging
from paramedic.remediation.proposal import Proposal, Verdict
from paramedic.remediation.remedy import Remedy
from paramedic.store import evidence, incident_alerts, incidents, lifecycle, messages, proposals
from paramedic.store.claims import Claim


def observes(pinned: Guardrails) -> bool:
    """Whether the incident's own runbook only observes. One that was lowered since refuses as a guardrail, at the change."""
    return pinned.mode == Mode.OBSERVE


def propose(run: PlaybookRun, claim: Claim, remedy: Remedy, pinned: Guardrails, current: Guardrails) -> Proposal:
    """Write down the change that this run would make now. Nothing is sent, asked or spent.

    Raises Refused where the target is no longer seen failing, or the incident is no longer this run's, and TemporaryError or
    PermanentError where the target cannot be seen.
    """
    health = measure(run)
    if run.waited and health.sight is not Sight.FAILING:
        raise Refused(f"after the wait it is no longer seen failing: {health.why}")
    around = look_around(run, pinned, current)
    identity = reading.identity(run.target)
    seen = health.why if health.sight is Sight.FAILING else f"seen failing just before; now {health.why}"
    with run.store.record() as tx:
        return proposals.make(
            tx,
            claim,
            remedy,
            identity=identity,
            why=seen,
            limits=pinned,
            today=current,
            paging=run.own.observed_paging,
            within=run.own.verify.within,
            around=around,
        )


def hand_over(run: PlaybookRun, proposal: Proposal) -> Outcome:
    """Give the incident to a person, who is told what would have been done; channels hear it too.

    By the runbook's word nobody is paged before the verdict (`page: late`), or the first person of the policy alone is.
    """
    with run.store.record() as tx:
        pieces = len(evidence.of(tx, proposal.incident))
        kept = f"; {pieces} pieces of evidence are kept" if pieces else ""
        because = (
            f"{proposal.words}, for it saw: {proposal.why}; the runbook's mode is observe, and nothing was done{kept}"
        )
        outcome = Outcome(Ending.OBSERVED, because)
        if run.still_ours(tx).state in (State.OPEN, State.WORKING):
            lifecycle.hand_over(
                tx,
                proposal.incident,
                outcome,
                actor=run.holder,
                page=proposal.paging is not Paging.LATE,
                happened=proposal.words,
            )
    return outcome


def watch(run: PlaybookRun, proposal: Proposal) -> Outcome:
    """Look, for as long as a remedy would have had, whether it becomes well without one; then write the verdict.

    What is well for the runbook's `stable` and was taken by nobody is over. Otherwise a person keeps, or now gets, it. Raises
    Cancelled, with the verdict that nobody knows.
    """
    try:
        verdict, why = _seen(run, proposal)
    except Cancelled:
        settle(run, proposal, Verdict.UNSEEN, "an operator cancelled the run")
        raise
    return settle(run, proposal, verdict, why)


def settle(run: PlaybookRun, proposal: Proposal, verdict: Verdict, why: str) -> Outcome:
    """Write the verdict, with its consequence for the incident, in one transaction."""
    with run.store.record() as tx:
        incident = incidents.get(tx, proposal.incident)
        firing = incident_alerts.firing(tx, incident, at_most=1) > 0
        word = "its alert still fires" if firing else "its alert has ended"
        judged = proposals.judge(tx, proposal, verdict, f"{why}; {word}", actor=run.holder)
        untaken = incident.state is State.HANDED_OVER and incident.ending is Ending.OBSERVED
        if untaken and verdict in (Verdict.RECOVERED, Verdict.BY_OTHERS):
            outcome = Outcome(Ending.RECOVERED, f"{judged.judged}; Paramedic {proposal.words}")
            lifecycle.resolve(tx, incident.number, outcome, actor=run.holder)
            if messages.paged(tx, incident.number):
                messages.queue_resolution(tx, incident=incident.number, policy=incident.policy)
            return outcome
        if untaken and proposal.paging is Paging.LATE:
            incidents.start_escalation(tx, incident)
        lifecycle.update_channels(tx, incident.number, f"{judged.judged}. It {proposal.words}")
    return Outcome(Ending.OBSERVED, f"{proposal.words}; {judged.judged}")


def _seen(run: PlaybookRun, proposal: Proposal) -> tuple[Verdict, str]:
    """What became of the target within `verify.within` without a change, and what was seen last."""
    run.forget_samples()
    verify = run.own.verify
    pause = min(1.0, verify.stable.total_seconds() / 5)
    ends_at = boottime() + verify.within.total_seconds()
    well_since: float | None = None
    last, why = Sight.UNKNOWN, "it was over too soon to tell"
    while boottime() < ends_at:
        run.go_on()
        taken_at = boottime()
        health = measure(run)
        if health.sight is not Sight.WELL:
            well_since, last, why = None, health.sight, health.why
        elif well_since is None:
            well_since = taken_at
        elif taken_at - well_since >= verify.stable.total_seconds():
            held = f"every condition held for {spoken(verify.stable)}"
            others = changed_since(run, proposal.identity)
            return (Verdict.BY_OTHERS if others else Verdict.RECOVERED), held
        time.sleep(pause)
    return (Verdict.NEEDED if last is Sight.FAILING else Verdict.UNSEEN), why
