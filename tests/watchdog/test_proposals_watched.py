"""A proposal whose run is killed while it watches: nobody is left untold, and the runbook's record does not wait for ever."""

import pytest
from incident_states import holding
from store_states import proposed
from watchdog_harness import Harness

from paramedic.incidents.outcome import Ending, Outcome
from paramedic.remediation.proposal import Paging, Proposal, Verdict
from paramedic.remediation.record import sum_up
from paramedic.store import claims, lifecycle, proposals

pytestmark = pytest.mark.real


def _proposed(harness: Harness, page: Paging, *, handed_over: bool) -> Proposal:
    """Its run was killed just after it had proposed, or just after it had handed the incident over."""
    incident, claim = holding(harness.store)
    with harness.store.record() as tx:
        made = proposed(tx, claim, paging=page)
        if handed_over:
            outcome = Outcome(Ending.OBSERVED, made.words)
            late = page is Paging.LATE
            lifecycle.hand_over(tx, incident.number, outcome, actor=claim.holder, page=not late)
            claims.release(tx, claim)
    harness.outside.runs["run-1"] = "CRASHED"
    return made


def _now(harness: Harness, proposal: Proposal) -> Proposal:
    with harness.store.read() as tx:
        return proposals.get(tx, proposal.id)


@pytest.mark.parametrize("page", list(Paging))
def test_killed_while_it_watches_it_is_judged_as_unseen_and_its_person_is_told(harness: Harness, page: Paging) -> None:
    made = _proposed(harness, page, handed_over=True)
    harness.after(6 * 60)
    assert _now(harness, made).verdict is None, "its run may still come back"
    assert harness.postbox.recipients == ([] if page is Paging.LATE else ["ada@example.org"])
    harness.after(61)
    judged = _now(harness, made)
    assert judged.judged == "nobody knows whether it was needed: the run that was to look was lost"
    assert "ada@example.org" in harness.postbox.recipients
    with harness.store.read() as tx:
        record = sum_up(proposals.of_runbook(tx, "tracking-api-memory"))
    assert (record.unknown, record.pending) == (1, 0)


def test_killed_before_it_has_handed_over_the_next_attempt_has_the_incident(harness: Harness) -> None:
    made = _proposed(harness, Paging.LATE, handed_over=False)
    harness.after(11)
    with harness.store.read() as tx:
        incident = lifecycle.get(tx, made.incident)
    assert harness.attempts(incident) == ["given_up", "open"]
    harness.after(7 * 60 + 1)
    assert _now(harness, made).verdict is Verdict.UNSEEN


def test_a_verdict_that_came_in_time_stays(harness: Harness) -> None:
    made = _proposed(harness, Paging.FIRST, handed_over=True)
    with harness.store.record() as tx:
        proposals.judge(tx, made, Verdict.NEEDED, "answered 503", actor="run:run-1")
    harness.after(8 * 60)
    assert _now(harness, made).verdict is Verdict.NEEDED
