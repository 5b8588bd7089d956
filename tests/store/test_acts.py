"""The intent comes first, with every guardrail read in its transaction (P3, P4, P9)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from databases import Clock
from sqlalchemy import select
from store_states import (
    ALIVE,
    DEADLINE,
    FREE,
    HOUR,
    LEASE,
    TARGET,
    claimed,
    intended,
    recorded,
    refused,
    working,
)

from paramedic.incidents.outcome import Ending, Outcome
from paramedic.kinds.process_target import process_identity
from paramedic.remediation.guardrail import Budget, Refusal
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.store import Store, acts, attempts, claims, intents, kill_switch, lifecycle, trail
from paramedic.store.acts import Act
from paramedic.store.claims import Claim
from paramedic.store.tables import acts as table


def test_an_intent_is_on_the_trail_with_its_identity_and_deadline(timed: Store, clock: Clock) -> None:
    claim = working(timed)
    with timed.record() as tx:
        act = intended(tx, claim)
    assert act.result is None
    assert act.identity == ALIVE
    assert act.deadline_at == clock.now() + DEADLINE
    with timed.read() as tx:
        entry = trail.head(tx)
        assert entry is not None
        assert (entry.phase, entry.what, entry.target) == ("intent", "restart", TARGET)
        assert entry.data["identity"] == {"pid": 4242, "started_at": 1769850000.25, "state": "RUNNING"}
        assert entry.data["deadline"] == "2026-01-31T09:30:30.000000Z"
        assert acts.of(tx, claim.incident) == [act]
        assert acts.open_on(tx, TARGET) == act


def test_an_identity_comes_back_with_its_revision_and_invocation_and_without_them_too(timed: Store) -> None:
    claim = working(timed, rungs=2)
    process = process_identity(77, 1769850000.0, "active/running", invocation="c036c6fc880e4fbb")
    unit = replace(process, revision="2026-01-31.1")
    with timed.record() as tx:
        older = intended(tx, claim)
        assert acts.close(tx, older, result="done", why="it answered", actor=claim.holder)
        act = intents.intend(tx, claim, rung=2, remedy="restart", identity=unit, deadline=DEADLINE, limits=FREE)
        assert isinstance(act, Act)
    with timed.read() as tx:
        assert acts.get(tx, act.id).identity == unit
        assert tx.conn.execute(select(table.c.identity).where(table.c.id == older.id)).scalar_one() == {
            "pid": ALIVE.instance["pid"],
            "started_at": ALIVE.instance["started_at"],
            "state": ALIVE.state,
        }
        assert acts.get(tx, older.id).identity == ALIVE


def _paused(store: Store, claim: Claim, clock: Clock) -> None:
    with store.record() as tx:
        kill_switch.pause(tx, by="ada", reason="we look ourselves")


def _acknowledged(store: Store, claim: Claim, clock: Clock) -> None:
    with store.record() as tx:
        lifecycle.acknowledge(tx, claim.incident, by="ada", reason="by the link")


def _handed_over(store: Store, claim: Claim, clock: Clock) -> None:
    with store.record() as tx:
        lifecycle.hand_over(tx, claim.incident, Outcome(Ending.HANDED_OVER, "no answer"), actor="watchdog")


def _resolved(store: Store, claim: Claim, clock: Clock) -> None:
    with store.record() as tx:
        lifecycle.resolve(tx, claim.incident, Outcome(Ending.RECOVERED, "by itself"), actor="person:ada")


def _given_up(store: Store, claim: Claim, clock: Clock) -> None:
    with store.record() as tx:
        assert attempts.raise_attempt(tx, claim.incident, after=1, rungs=1, reason="silent")
        assert attempts.begin_attempt(tx, claim.incident, 2, flow_run="run-2") is None


def _released(store: Store, claim: Claim, clock: Clock) -> None:
    with store.write() as tx:
        claims.release(tx, claim)


def _lapsed(store: Store, claim: Claim, clock: Clock) -> None:
    clock.advance(LEASE)


def _taken_over(store: Store, claim: Claim, clock: Clock) -> None:
    clock.advance(LEASE)
    with store.record() as tx:
        claimed(tx, claim.incident, run="run-2")


def _open_act(store: Store, claim: Claim, clock: Clock) -> None:
    with store.record() as tx:
        intended(tx, claim)


def _spent(store: Store, claim: Claim, clock: Clock) -> None:
    with store.record() as tx:
        acts.close(tx, intended(tx, claim), result="not_sent", why="nothing was sent", actor=claim.holder)


Trouble = Callable[[Store, Claim, Clock], None]


@pytest.mark.parametrize(
    ("trouble", "guardrail", "words"),
    [
        (_paused, "kill switch", "everything, by ada since 2026-01-31T09:30:00.000000Z: we look ourselves"),
        (_acknowledged, "incident", "is acknowledged"),
        (_handed_over, "incident", "is handed_over"),
        (_resolved, "incident", "is resolved"),
        (_given_up, "claim", "attempt 1 was given up; attempt 2 has the incident"),
        (_released, "claim", "lease has run out"),
        (_lapsed, "claim", "lease has run out"),
        (_taken_over, "claim", "lost or taken over"),
        (_open_act, "open act", f"the restart of {TARGET} by INC-1 (attempt 1, 2026-01-31T09:30:00.000000Z)"),
        (_spent, "grant", "is spent"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_a_guardrail_that_does_not_agree_stops_the_intent(
    timed: Store, clock: Clock, trouble: Trouble, guardrail: str, words: str
) -> None:
    claim = working(timed)
    trouble(timed, claim, clock)
    with timed.read() as tx:
        before = acts.of(tx, claim.incident)
    no = refused(timed, claim)
    assert no.guardrail == guardrail
    assert words in no.reason
    with timed.read() as tx:
        assert acts.of(tx, claim.incident) == before
        entry = trail.head(tx)
        assert entry is not None
        assert (entry.phase, entry.what, entry.target) == ("decision", "restart.refused", TARGET)
        assert entry.reason == no.reason
        assert entry.data == {"guardrail": guardrail, "attempt": 1, "rung": 1}


def test_another_attempts_grant_is_no_permission(timed: Store) -> None:
    claim = working(timed)
    assert (
        refused(timed, claim, rung=2).reason
        == "the one permission for this change is missing: the incident has used it up"
    )
    with timed.record() as tx:
        elsewhere = claims.take(tx, target="db-1/postgres", incident=1, attempt=1, holder=claim.holder, lease=LEASE)
    assert isinstance(elsewhere, Claim)
    assert (
        refused(timed, elsewhere).reason == "the one permission for this change is missing: the incident has used it up"
    )


def test_a_claim_with_another_holder_or_token_is_not_ours(timed: Store) -> None:
    claim = working(timed)
    assert refused(timed, replace(claim, holder="run:other")).guardrail == "claim"
    assert refused(timed, replace(claim, token=2)).guardrail == "claim"


@pytest.mark.parametrize("mode", ["observe", ""])
def test_a_mode_that_is_not_act_does_nothing_and_says_so(timed: Store, mode: str) -> None:
    no = refused(timed, working(timed), limits=Guardrails(mode))
    assert no.guardrail == "mode"
    assert mode in no.reason


def test_the_cooldown_counts_from_the_last_act_on_the_target_whoever_acted(timed: Store, clock: Clock) -> None:
    limits = Guardrails("act", {"cooldown": timedelta(minutes=10)})
    first = working(timed)
    with timed.record() as tx:
        acts.close(tx, intended(tx, first, limits=limits), result="cured", why="well", actor=first.holder)
        lifecycle.resolve(tx, first.incident, Outcome(Ending.REMEDIATED, "well"), actor=first.holder)
        claims.release(tx, first)
    clock.advance(timedelta(minutes=9, seconds=59))
    no = refused(timed, working(timed), limits=limits)
    assert no.guardrail == "cooldown"
    assert no.reason == (
        f"{TARGET} was acted on at 2026-01-31T09:30:00.000000Z and the cooldown is 10m: until 2026-01-31T09:40:00.000000Z"
    )
    with timed.record() as tx:
        second = claims.current(tx, TARGET)
        assert second is not None
    clock.advance(timedelta(seconds=1))
    with timed.record() as tx:
        intended(tx, second[0], limits=limits)


def test_the_budget_counts_acts_within_its_period_and_forgets_older_ones(timed: Store, clock: Clock) -> None:
    limits = Guardrails("act", {"budget": Budget(2, HOUR)})
    claim = working(timed, rungs=5)

    def act_again(rung: int) -> None:
        with timed.write() as tx:
            assert claims.renew(tx, claim, 2 * HOUR)
        with timed.record() as tx:
            acts.close(tx, intended(tx, claim, rung=rung, limits=limits), result="cured", why="", actor="a")

    act_again(1)
    clock.advance(timedelta(seconds=5))
    act_again(2)
    clock.advance(timedelta(minutes=59))
    no = refused(timed, claim, rung=3, limits=limits)
    assert (no.guardrail, no.reason) == (
        "budget",
        f"2 of 2 acts on {TARGET} within 1h, and the next is free at 2026-01-31T10:30:00.000000Z",
    )
    clock.advance(
        timedelta(seconds=59)
    )  # an hour and four seconds after the first, a second less than one after the other
    act_again(3)
    assert refused(timed, claim, rung=4, limits=limits).guardrail == "budget"


@pytest.mark.parametrize(
    ("result", "counts"),
    [("done", True), ("cured", True), ("failed", True), ("unknown", True), ("decided", True), ("not_sent", False)],
)
def test_what_may_have_touched_the_target_spends_budget_and_cooldown(
    timed: Store, clock: Clock, result: str, counts: bool
) -> None:
    first = working(timed)
    with timed.record() as tx:
        acts.close(tx, intended(tx, first), result=result, why="", actor="a")
        lifecycle.resolve(tx, first.incident, Outcome(Ending.REMEDIATED, "well"), actor="a")
    clock.advance(timedelta(minutes=5))
    claim = working(timed)
    for limits in (
        Guardrails("act", {"cooldown": timedelta(minutes=10)}),
        Guardrails("act", {"budget": Budget(1, HOUR)}),
    ):
        with timed.record() as tx:
            judged = intents.intend(
                tx, claim, rung=1, remedy="restart", identity=ALIVE, deadline=DEADLINE, limits=limits
            )
            assert isinstance(judged, Refusal) == counts
            if isinstance(judged, Act):
                tx.conn.rollback()
                break


def test_no_cooldown_lies_between_the_rungs_of_one_ladder(timed: Store) -> None:
    limits = Guardrails("act", {"cooldown": timedelta(minutes=10), "budget": Budget(2, HOUR)})
    claim = working(timed, rungs=3)
    for rung in (1, 2):
        with timed.record() as tx:
            acts.close(tx, intended(tx, claim, rung=rung, limits=limits), result="cured", why="", actor="a")
    assert refused(timed, claim, rung=3, limits=limits).guardrail == "budget", "but each rung spends the budget"


def test_a_rung_is_granted_until_it_is_spent_or_its_attempt_is_given_up(timed: Store) -> None:
    claim = working(timed, rungs=2)

    def granted(attempt: int) -> list[bool]:
        with timed.read() as tx:
            return [attempts.is_granted(tx, claim.incident, attempt, rung) for rung in (1, 2, 3)]

    assert granted(1) == [True, True, False]
    with timed.record() as tx:
        acts.close(tx, intended(tx, claim, rung=1), result="done", why="", actor="a")
    assert granted(1) == [False, True, False]
    with timed.record() as tx:
        assert attempts.rungs_of(tx, claim.incident) == 2
        assert attempts.raise_attempt(tx, claim.incident, after=1, rungs=2, reason="silent")
    assert granted(1) == [False, False, False]
    assert granted(2) == [False, True, False], "a spent rung is not granted again"


def test_an_outcome_is_written_once_and_a_late_one_is_told_as_late(timed: Store) -> None:
    claim = working(timed)
    with timed.record() as tx:
        act = intended(tx, claim)
    with timed.record() as tx:
        assert acts.close(tx, act, result="done", why="it answered", actor=claim.holder, identity=ALIVE)
        assert acts.close(tx, act, result="cured", why="and is well", actor=claim.holder)
        assert not acts.close(tx, act, result="failed", why="no", actor="watchdog")
        assert not acts.close(tx, act, result="cured", why="again", actor="watchdog")
    with timed.read() as tx:
        assert acts.get(tx, act.id).result == "cured"
        assert acts.open_on(tx, TARGET) is None
        assert acts.cures(tx, TARGET, HOUR) == 1
        entry = trail.head(tx)
        assert entry is not None
        assert "told too late" in entry.reason
    assert recorded(timed)[-4:] == ["restart.done", "restart.cured", "restart.failed", "restart.cured"]


def test_cures_older_than_the_time_asked_for_do_not_count(timed: Store, clock: Clock) -> None:
    claim = working(timed)
    with timed.record() as tx:
        acts.close(tx, intended(tx, claim), result="cured", why="well", actor=claim.holder)
    clock.advance(HOUR)
    with timed.read() as tx:
        assert acts.cures(tx, TARGET, HOUR) == 0
        assert acts.cures(tx, TARGET, HOUR + timedelta(seconds=1)) == 1
        assert acts.cures(tx, "web-2/tracking-api", 2 * HOUR) == 0
