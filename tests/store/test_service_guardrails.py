"""The guardrails of a service: its budget, and how many of its targets are changed at once."""

from datetime import timedelta

import pytest
from databases import Clock
from sqlalchemy import update
from store_states import HOUR, intended, refused, working

from paramedic.incidents.outcome import Ending, Outcome
from paramedic.remediation.guardrail import AtOnce, Budget
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.store import Store, acts, lifecycle, trail
from paramedic.store.tables import incidents as incident_rows

WEB = [f"web-{number}/tracking-api" for number in range(1, 5)]


def test_the_service_s_budget_counts_acts_on_every_target_and_those_still_open(timed: Store, clock: Clock) -> None:
    limits = Guardrails("act", {"service_budget": Budget(2, HOUR)})
    first, second, third = (working(timed, target=target) for target in WEB[:3])
    with timed.record() as tx:
        acts.close(tx, intended(tx, first, limits=limits), result="done", why="", actor="a")
    clock.advance(timedelta(seconds=5))
    with timed.record() as tx:
        act = intended(tx, second, limits=limits)
    no = refused(timed, third, limits=limits)
    assert (no.guardrail, no.reason) == (
        "service budget",
        "2 of 2 acts on service tracking within 1h, and the next is free at 2026-01-31T10:30:00.000000Z",
    )
    with timed.record() as tx:
        acts.close(tx, act, result="not_sent", why="nothing was sent", actor="a")
        intended(tx, third, limits=limits)


def test_another_service_s_acts_are_not_counted(timed: Store) -> None:
    limits = Guardrails("act", {"service_budget": Budget(1, HOUR), "at_once": AtOnce(1, 4)})
    elsewhere = working(timed, target="db-1/postgres")
    with timed.record() as tx:
        tx.conn.execute(update(incident_rows).values(service="database"))
        intended(tx, elsewhere)
    claim = working(timed)
    with timed.record() as tx:
        intended(tx, claim, limits=limits)


@pytest.mark.parametrize(
    ("result", "busy"),
    [(None, True), ("done", True), ("failed", True), ("unknown", True), ("cured", False), ("not_sent", False)],
)
def test_a_target_counts_as_being_changed_until_it_was_verified(timed: Store, result: str | None, busy: bool) -> None:
    limits = Guardrails("act", {"at_once": AtOnce(1, 4)})
    first, second = (working(timed, target=target) for target in WEB[:2])
    with timed.record() as tx:
        act = intended(tx, first, limits=limits)
        if result is not None:
            acts.close(tx, act, result=result, why="", actor="a")
    if busy:
        no = refused(timed, second, limits=limits)
        assert no.guardrail == "at once"
        assert no.reason == (
            f"1 of service tracking's 4 targets have a change that is not verified yet ({WEB[0]}), and 1 may have one at a time"
        )
        with timed.record() as tx:  # a person who has ended it has looked at it
            lifecycle.resolve(tx, first.incident, Outcome(Ending.HANDED_OVER, "mended"), actor="person:ada")
    with timed.record() as tx:
        intended(tx, second, limits=limits)


def test_its_own_earlier_act_keeps_a_target_from_nothing_more(timed: Store) -> None:
    limits = Guardrails("act", {"at_once": AtOnce(1, 4)})
    claim = working(timed, rungs=2)
    with timed.record() as tx:
        acts.close(tx, intended(tx, claim, limits=limits), result="done", why="", actor="a")
        intended(tx, claim, rung=2, limits=limits)


def test_what_let_an_act_pass_is_on_the_trail_with_its_numbers(timed: Store) -> None:
    claim = working(timed)
    with timed.record() as tx:
        intended(tx, claim, limits=Guardrails("act", {"budget": Budget(2, HOUR), "at_once": AtOnce(1, 4)}))
        entry = trail.head(tx)
    assert entry is not None
    assert entry.data["guardrails"][-3:] == [
        "budget: 0 of 2 within 1h",
        "at once: 1 of 4 targets at once, 0 others are being changed",
        "parts: none",
    ]
