"""A cure that did not last: a second one is a person's, unless the author says `again`; then the budget counts (P4)."""

import pytest
from databases import Clock
from store_states import ALIVE, DEADLINE, HOUR, TARGET, WELL, again, claimed, granted, intended, refused, working

from paramedic.remediation.guardrail import Budget
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.remedy import RESTART
from paramedic.store import Store, acts, attempts, claims, intents, lifecycle
from paramedic.store.acts import Act
from paramedic.store.claims import Claim

BUDGET = Budget(2, HOUR)
ONCE = Guardrails("act", {"budget": BUDGET, "again": False})
AGAIN = Guardrails("act", {"budget": BUDGET, "again": True})


def _came_back(store: Store, clock: Clock, claim: Claim, *, result: str = "cured", allowed: bool = True) -> Claim:
    """It is restarted and ends so, the incident is well, and five minutes later the next attempt works on it."""
    with store.record() as tx:
        act = intents.intend(
            tx, claim, rung=1, remedy="restart", identity=ALIVE, deadline=DEADLINE, limits=AGAIN, today=AGAIN
        )
        assert isinstance(act, Act)
        acts.close(tx, act, result=result, why="looked at after it", actor=claim.holder)
        lifecycle.resolve(tx, claim.incident, WELL, actor=claim.holder)
        claims.release(tx, claim)
    repeated, attempt = again(clock), claim.attempt + 1
    with store.record() as tx:
        lifecycle.reopen(tx, claim.incident, repeated, reason="it began again", again=allowed)
        assert attempts.begin_attempt(tx, claim.incident, attempt, flow_run=f"run-{attempt}") is None
        return claimed(tx, claim.incident, attempt=attempt, run=f"run-{attempt}")


def test_a_second_restart_of_an_incident_is_a_person_s_and_it_says_how_to_allow_more(
    timed: Store, clock: Clock
) -> None:
    no = refused(timed, _came_back(timed, clock, working(timed), allowed=False), limits=ONCE)
    assert no.guardrail == "grant"
    assert no.reason == "restarted 5m ago, it did not last: a second restart is a person's"
    assert "`again: true` beside the `budget`" in no.by_hand


def test_with_the_author_s_word_a_cure_is_repeated_and_the_budget_says_how_often(timed: Store, clock: Clock) -> None:
    second = _came_back(timed, clock, working(timed))
    third = _came_back(timed, clock, second)
    no = refused(timed, third, limits=AGAIN)
    assert (no.guardrail, no.reason) == (
        "budget",
        f"2 of 2 acts on {TARGET} within 1h, and the next is free at 2026-01-31T10:30:00.000000Z",
    )


def test_an_author_who_takes_the_word_back_stops_the_repetition_at_the_act(timed: Store, clock: Clock) -> None:
    claim = _came_back(timed, clock, working(timed))
    for limits, today in ((AGAIN, ONCE), (ONCE, AGAIN)):
        with timed.read() as tx:
            no = intents.would_refuse(tx, claim, RESTART, identity=ALIVE, limits=limits, today=today)
        assert no is not None
        assert no.guardrail == "again"
        assert "it did not last" in no.reason


@pytest.mark.parametrize("result", ["done", "failed", "unknown", "decided"])
def test_what_was_not_verified_well_is_never_granted_again(timed: Store, clock: Clock, result: str) -> None:
    claim = _came_back(timed, clock, working(timed, rungs=2), result=result)
    with timed.read() as tx:
        assert granted(tx, claim.incident)[-1:] == [(2, 2, "open")]
        assert not attempts.is_granted(tx, claim.incident, 2, 1)


def test_a_cure_whose_repetition_did_not_help_is_used_up(timed: Store, clock: Clock) -> None:
    claim = _came_back(timed, clock, _came_back(timed, clock, working(timed)), result="done")
    no = refused(timed, claim, limits=Guardrails("act", {"again": True}))
    assert (no.guardrail, no.reason) == ("grant", "restarted 5m ago, it did not help: a second restart is a person's")


def test_an_attempt_that_is_raised_for_another_reason_repeats_nothing(timed: Store) -> None:
    claim = working(timed)
    with timed.record() as tx:
        acts.close(tx, intended(tx, claim, limits=AGAIN), result="cured", why="well", actor=claim.holder)
        assert attempts.raise_attempt(tx, claim.incident, after=1, rungs=1, reason="its run was lost")
        assert not attempts.is_granted(tx, claim.incident, 2, 1)
