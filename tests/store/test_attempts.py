"""Attempts in the store: which run may begin one, when the next follows, and how each ends once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from databases import Clock, at_once
from store_states import (
    HANDED_OVER,
    WELL,
    granted,
    intended,
    look_at_the_trail,
    opened,
    recorded,
    working,
)

from paramedic.incidents.incident import IllegalMove, Incident, State
from paramedic.store import (
    Store,
    Tx,
    acts,
    attempts,
    incidents,
    lifecycle,
    messages,
    outbox,
    trail,
)


def test_the_same_run_may_begin_again_and_another_may_not(timed: Store) -> None:
    with timed.record() as tx:
        number = opened(tx)
        assert attempts.begin_attempt(tx, number, 1, flow_run="run-1") is None
        assert attempts.begin_attempt(tx, number, 1, flow_run="run-1") is None
        refusal = attempts.begin_attempt(tx, number, 1, flow_run="run-2")
        assert refusal == f"flow run run-1 already works on attempt 1 at INC-{number}"
        assert incidents.get(tx, number).state is State.WORKING
        assert [attempt.flow_run for attempt in attempts.open_attempts(tx)] == ["run-1"]
    assert recorded(timed, number)[2:] == ["attempt.began", "attempt.began_again"]


def test_the_run_that_began_before_prefects_answer_came_is_kept(timed: Store) -> None:
    with timed.record() as tx:
        number = opened(tx)
        attempts.begin_attempt(tx, number, 1, flow_run="run-1")
        attempts.dispatched(tx, number, 1, flow_run="run-2")
        attempt = attempts.get(tx, number, 1)
    assert attempt is not None
    assert attempt.flow_run == "run-1"
    assert attempt.dispatched_at is not None


def _raise(tx: Tx, number: int) -> None:
    assert attempts.raise_attempt(tx, number, after=1, rungs=1, reason="silent")


def _hand_over(tx: Tx, number: int) -> None:
    lifecycle.hand_over(tx, number, HANDED_OVER, actor="watchdog")


def _acknowledge(tx: Tx, number: int) -> None:
    lifecycle.acknowledge(tx, number, by="ada", reason="by the link")


def _resolve(tx: Tx, number: int) -> None:
    lifecycle.resolve(tx, number, WELL, actor="person:ada")


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (_raise, "attempt 1 at INC-1 is over (given_up)"),
        (_hand_over, "attempt 1 at INC-1 is over (closed)"),
        (_acknowledge, "attempt 1 at INC-1 is over (closed)"),
        (_resolve, "attempt 1 at INC-1 is over (closed); a run is not a permission to act again"),
    ],
)
def test_a_run_of_an_attempt_that_is_over_does_not_begin(
    timed: Store, before: Callable[[Tx, int], None], words: str
) -> None:
    with timed.record() as tx:
        number = opened(tx)
        attempts.begin_attempt(tx, number, 1, flow_run="run-1")
        before(tx, number)
        told_before = trail.head(tx)
        refusal = attempts.begin_attempt(tx, number, 1, flow_run="run-1")
        assert refusal is not None
        assert words in refusal
        assert trail.head(tx) == told_before


def test_a_run_of_an_attempt_that_never_was_does_not_begin(timed: Store) -> None:
    with timed.record() as tx:
        assert attempts.begin_attempt(tx, opened(tx), 2, flow_run="run-1") == "INC-1 has no attempt 2"


def test_a_higher_attempt_takes_grants_and_order_from_the_one_before(timed: Store) -> None:
    with timed.record() as tx:
        number = opened(tx, rungs=2)
        _ = attempts.raise_attempt(tx, number, after=1, rungs=2, reason="the run died")
        assert incidents.get(tx, number).attempt == 2
        assert granted(tx, number) == [(1, 1, "revoked"), (1, 2, "revoked"), (2, 1, "open"), (2, 2, "open")]
        assert [order.attempt for order in outbox.waiting(tx)] == [2]
        assert [attempt.state for attempt in attempts.of(tx, number)] == ["given_up", "open"]
        assert attempts.begin_attempt(tx, number, 2, flow_run="run-2") is None
        assert not attempts.raise_attempt(tx, number, after=1, rungs=2, reason="too late")
        assert not attempts.raise_attempt(tx, number, after=3, rungs=2, reason="too early")


@pytest.mark.parametrize("state", [_hand_over, _acknowledge, _resolve])
def test_what_a_person_has_or_what_has_ended_is_not_handed_on(timed: Store, state: Callable[[Tx, int], None]) -> None:
    with timed.record() as tx:
        number = opened(tx)
        state(tx, number)
        assert not attempts.raise_attempt(tx, number, after=1, rungs=1, reason="silent")
        assert [grant for *_, grant in granted(tx, number)] == ["revoked"]
        assert outbox.waiting(tx) == []


def _raise_once(url: str, incident: int, number: int) -> bool:
    store = Store(url)
    with store.record() as tx:
        raised = attempts.raise_attempt(tx, incident, after=1, rungs=1, reason=f"seen by {number}")
    store.close()
    return raised


def test_of_many_who_hand_on_at_once_one_does(store_url: str, store: Store) -> None:
    with store.record() as tx:
        number = opened(tx)
    assert sum(at_once(8, _raise_once, store_url, number)) == 1
    with store.read() as tx:
        assert incidents.get(tx, number).attempt == 2
        assert [order.attempt for order in outbox.waiting(tx)] == [2]
    assert recorded(store).count("attempt.raised") == 2
    assert look_at_the_trail(store).verified


@pytest.mark.parametrize(
    ("result", "granted_again"),
    [(None, False), ("done", False), ("failed", False), ("unknown", False), ("not_sent", True)],
)
def test_a_rung_that_may_have_touched_the_target_is_not_granted_again(
    timed: Store, result: str | None, granted_again: bool
) -> None:
    claim = working(timed, rungs=2)
    with timed.record() as tx:
        act = intended(tx, claim)
        if result is not None:
            acts.close(tx, act, result=result, why="", actor="a")
        attempts.raise_attempt(tx, claim.incident, after=1, rungs=2, reason="the run died")
        again = [rung for attempt, rung, _ in granted(tx, claim.incident) if attempt == 2]
    assert again == ([1, 2] if granted_again else [2])


def test_a_rung_spent_two_attempts_ago_is_not_granted_again(timed: Store) -> None:
    claim = working(timed)
    with timed.record() as tx:
        acts.close(tx, intended(tx, claim), result="done", why="", actor="a")
        for attempt in (1, 2, 3):
            attempts.raise_attempt(tx, claim.incident, after=attempt, rungs=1, reason="the run died")
        assert [row for row in granted(tx, claim.incident) if row[2] == "open"] == []


ENDINGS: list[Callable[[Tx, int], Any]] = [_hand_over, _acknowledge, _resolve]


@pytest.mark.parametrize("move", ENDINGS)
def test_what_has_ended_ends_once(timed: Store, clock: Clock, move: Callable[[Tx, int], Any]) -> None:
    with timed.record() as tx:
        number = opened(tx)
        ended = lifecycle.resolve(tx, number, WELL, actor="run:1")
    before = recorded(timed)
    clock.advance(timedelta(minutes=1))
    with pytest.raises(IllegalMove, match="that is resolved cannot become"), timed.record() as tx:
        move(tx, number)
    with timed.read() as tx:
        assert incidents.get(tx, number) == ended
    assert recorded(timed) == before


def test_a_move_that_somebody_else_made_first_is_not_made_over_it(timed: Store) -> None:
    with timed.record() as tx:
        number = opened(tx)
        stale: Incident = incidents.get(tx, number)
        lifecycle.hand_over(tx, number, HANDED_OVER, actor="watchdog")
        with pytest.raises(IllegalMove, match="moved by somebody else"):
            incidents.set_state(tx, stale, State.WORKING)


def _end(url: str, incident: int, number: int) -> str:
    store = Store(url)
    try:
        with store.record() as tx:
            ENDINGS[number % 3](tx, incident)
    except IllegalMove:
        return "no"
    finally:
        store.close()
    return "moved"


def test_whatever_people_and_runs_say_at_once_the_story_is_legal(store_url: str, store: Store) -> None:
    with store.record() as tx:
        number = opened(tx)
    at_once(9, _end, store_url, number)
    with store.read() as tx:
        assert incidents.get(tx, number).state is State.RESOLVED
        assert [message.state for message in messages.of(tx, number)] in ([], ["withdrawn"])
    story = recorded(store)
    assert story.count("incident.remediated") == 1
    assert story[-1] == "incident.remediated"
    assert look_at_the_trail(store).verified
