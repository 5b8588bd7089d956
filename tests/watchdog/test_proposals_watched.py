"""A proposal whose run is killed while it watches: nobody is left untold, and the runbook's record does not wait for ever."""

from datetime import timedelta

import pytest
from incident_states import holding
from store_states import ALIVE
from watchdog_harness import Kennel

from paramedic.incidents.outcome import Ending, Outcome
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.proposal import Paging, Proposal, Verdict
from paramedic.remediation.record import sum_up
from paramedic.remediation.remedy import RESTART
from paramedic.store import claims, lifecycle, proposals

pytestmark = pytest.mark.real


def _proposed(kennel: Kennel, page: Paging, *, handed_over: bool) -> Proposal:
    """Its run was killed just after it had proposed, or just after it had handed the incident over."""
    incident, claim = holding(kennel.store)
    with kennel.store.record() as tx:
        made = proposals.make(
            tx,
            claim,
            RESTART,
            identity=ALIVE,
            why="answered 503",
            limits=Guardrails("observe"),
            today=Guardrails("observe"),
            paging=page,
            within=timedelta(minutes=5),
        )
        if handed_over:
            outcome = Outcome(Ending.OBSERVED, made.words)
            late = page is Paging.LATE
            lifecycle.hand_over(tx, incident.number, outcome, actor=claim.holder, page=not late)
            claims.release(tx, claim)
    kennel.outside.runs["run-1"] = "CRASHED"
    return made


def _now(kennel: Kennel, proposal: Proposal) -> Proposal:
    with kennel.store.read() as tx:
        return proposals.get(tx, proposal.id)


@pytest.mark.parametrize("page", list(Paging))
def test_killed_while_it_watches_it_is_judged_as_unseen_and_its_person_is_told(kennel: Kennel, page: Paging) -> None:
    made = _proposed(kennel, page, handed_over=True)
    kennel.after(6 * 60)
    assert _now(kennel, made).verdict is None, "its run may still come back"
    assert kennel.postbox.told == ([] if page is Paging.LATE else ["ada@example.org"])
    kennel.after(61)
    judged = _now(kennel, made)
    assert judged.judged == "nobody knows whether it was needed: the run that was to look was lost"
    assert "ada@example.org" in kennel.postbox.told
    with kennel.store.read() as tx:
        record = sum_up(proposals.of_runbook(tx, "tracking-api-memory"))
    assert (record.unknown, record.pending) == (1, 0)


def test_killed_before_it_has_handed_over_the_next_attempt_has_the_incident(kennel: Kennel) -> None:
    made = _proposed(kennel, Paging.LATE, handed_over=False)
    kennel.after(11)
    with kennel.store.read() as tx:
        incident = lifecycle.get(tx, made.incident)
    assert kennel.attempts(incident) == ["given_up", "open"]
    kennel.after(7 * 60 + 1)
    assert _now(kennel, made).verdict is Verdict.UNSEEN


def test_a_verdict_that_came_in_time_stays(kennel: Kennel) -> None:
    made = _proposed(kennel, Paging.FIRST, handed_over=True)
    with kennel.store.record() as tx:
        proposals.judge(tx, made, Verdict.NEEDED, "answered 503", actor="run:run-1")
    kennel.after(8 * 60)
    assert _now(kennel, made).verdict is Verdict.NEEDED
