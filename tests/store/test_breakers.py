"""Circuit breakers: what does not help is blocked until a person resets it; too much change stops every act; nothing old is
worked off after a reset."""

from datetime import timedelta

import pytest
from databases import Clock
from sqlalchemy import select
from store_states import ALIVE, DEADLINE, FREE, HOUR, TARGET, claimed, intended, recorded, refused, working

from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.remediation.guardrail import Refusal
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.site_limits import FEWEST, BreakerLimit, FleetLimit, SiteLimits
from paramedic.store import (
    Store,
    acts,
    attempts,
    breakers,
    claims,
    incidents,
    intents,
    kill_switch,
    lifecycle,
    messages,
    trail,
)
from paramedic.store.claims import Claim
from paramedic.store.tables import messages as message_rows

LIMIT = BreakerLimit(3, timedelta(hours=4))


def failed(store: Store, *, target: str = TARGET, result: str = "done") -> None:
    """An incident whose restart did not help, and which a person has ended."""
    claim = working(store, target=target)
    with store.record() as tx:
        acts.close(tx, intended(tx, claim), result=result, why="as the test says", actor=claim.holder)
        claims.release(tx, claim)
        lifecycle.resolve(tx, claim.incident, Outcome(Ending.HANDED_OVER, "mended"), actor="person:ada")


def blocked(store: Store, *, target: str = TARGET, limits: Guardrails = FREE) -> Claim:
    """An incident whose restart is refused, and which is handed over with that."""
    claim = working(store, target=target)
    no = refused(store, claim, limits=limits)
    with store.record() as tx:
        claims.release(tx, claim)
        lifecycle.hand_over(tx, claim.incident, Outcome(Ending.REFUSED, no.reason), actor=claim.holder)
    return claim


def state_of(store: Store, number: int) -> tuple[State, int]:
    with store.read() as tx:
        incident = incidents.get(tx, number)
    return incident.state, incident.attempt


def begun_again(store: Store, number: int) -> Claim:
    """The next attempt's run has begun, and has the claim."""
    with store.record() as tx:
        attempt = incidents.get(tx, number).attempt
        assert attempts.begin_attempt(tx, number, attempt, flow_run="run-2") is None
        return claimed(tx, number, attempt=attempt, run="run-2")


# --- a remedy at a target ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", ["done", "failed", "unknown"])
def test_a_remedy_that_did_not_help_three_times_is_blocked_there_until_a_person_resets_it(
    timed: Store, clock: Clock, result: str
) -> None:
    for _ in range(3):
        failed(timed, result=result)
        clock.advance(timedelta(minutes=20))
    no = refused(timed, working(timed))
    assert no.guardrail == "breaker"
    assert no.reason == (
        f"restart did not help {TARGET} 3 times within 40m, the last at 2026-01-31T10:10:00.000000Z (the limit is 3 within "
        "4h): it is blocked there until a person resets it"
    )
    assert f"`paramedic breaker reset {TARGET} --remedy restart` allows it again" in no.by_hand


def test_it_stays_blocked_however_long_nobody_resets_it(timed: Store, clock: Clock) -> None:
    for _ in range(3):
        failed(timed)
    clock.advance(timedelta(days=30))
    assert refused(timed, working(timed)).guardrail == "breaker"


def test_another_remedy_and_another_target_are_not_blocked(timed: Store) -> None:
    for _ in range(3):
        failed(timed)
    elsewhere = working(timed, target="web-2/tracking-api")
    with timed.record() as tx:
        intended(tx, elsewhere)
    claim = working(timed)
    with timed.record() as tx:
        judged = intents.intend(tx, claim, rung=1, remedy="reload", identity=ALIVE, deadline=DEADLINE, limits=FREE)
    assert not isinstance(judged, Refusal)


@pytest.mark.parametrize("result", ["cured", "not_sent", "decided"])
def test_what_helped_was_not_sent_or_was_judged_by_a_person_does_not_count(timed: Store, result: str) -> None:
    for _ in range(2):
        failed(timed)
    for _ in range(2):
        failed(timed, result=result)
    claim = working(timed)
    with timed.record() as tx:
        intended(tx, claim)


def test_three_over_a_longer_time_are_no_loop(timed: Store, clock: Clock) -> None:
    for _ in range(3):
        failed(timed)
        clock.advance(timedelta(hours=2, minutes=1))
    claim = working(timed)
    with timed.record() as tx:
        intended(tx, claim)


def test_the_limit_is_a_setting(timed: Store) -> None:
    failed(timed)
    strict = Guardrails("act", site=SiteLimits(BreakerLimit(1, HOUR)))
    assert refused(timed, working(timed), limits=strict).guardrail == "breaker"


def test_a_clock_that_is_set_back_after_the_reset_trips_nothing_again(timed: Store, clock: Clock) -> None:
    for _ in range(3):
        failed(timed)
    clock.jump(timedelta(hours=-2))
    with timed.record() as tx:
        breakers.reset(tx, LIMIT, target=TARGET, remedy=None, by="ada", because="the disk was full")
    claim = working(timed)
    with timed.record() as tx:
        intended(tx, claim)


# --- the reset --------------------------------------------------------------------------------------------------------


def test_a_reset_is_on_the_trail_by_name_and_what_waited_is_measured_again_by_a_new_attempt(timed: Store) -> None:
    for _ in range(3):
        failed(timed)
    claim = blocked(timed)
    with timed.record() as tx:
        found = breakers.reset(tx, LIMIT, target=TARGET, remedy="restart", by="ada", because="the disk was full")
        entry = next(one for one in trail.entries(tx) if one.what == "breaker.reset")
    assert [one.waiting for one in found] == [(claim.incident,)]
    assert (entry.actor, entry.reason, entry.target) == ("person:ada", "the disk was full", TARGET)
    assert entry.data == {"breaker": "breaker", "remedy": "restart"}
    assert state_of(timed, claim.incident) == (State.OPEN, 2)
    assert "incident.measured_again" in recorded(timed, claim.incident)
    with timed.read() as tx:
        assert [one.state for one in messages.of(tx, claim.incident) if one.kind == "rung"] == ["withdrawn"]
        assert breakers.tripped(tx, LIMIT) == []
    again = begun_again(timed, claim.incident)
    with timed.record() as tx:  # it still fails: the remedy that the refusal did not use up is judged as ever
        intended(tx, again)


def test_nothing_is_begun_for_what_a_person_has_taken_or_ended_meanwhile(timed: Store) -> None:
    for _ in range(3):
        failed(timed)
    taken = blocked(timed)
    with timed.record() as tx:
        lifecycle.acknowledge(tx, taken.incident, by="bob", reason="by the link")
        found = breakers.reset(tx, LIMIT, target=TARGET, remedy=None, by="ada", because="seen")
    assert [one.waiting for one in found] == [()]
    assert state_of(timed, taken.incident) == (State.ACKNOWLEDGED, 1)


def test_what_was_handed_over_for_another_reason_is_not_given_back(timed: Store) -> None:
    for _ in range(3):
        failed(timed)
    claim = working(timed)
    refused(timed, claim)
    with timed.record() as tx:
        lifecycle.hand_over(tx, claim.incident, Outcome(Ending.HANDED_OVER, "a bug"), actor=claim.holder)
        found = breakers.reset(tx, LIMIT, target=TARGET, remedy=None, by="ada", because="seen")
    assert [one.waiting for one in found] == [()]
    assert state_of(timed, claim.incident) == (State.HANDED_OVER, 1)


def test_of_a_ladder_that_has_been_tried_the_new_attempt_has_what_is_left_and_no_more(timed: Store) -> None:
    for _ in range(3):
        failed(timed)
    claim = working(timed, rungs=2)
    with timed.record() as tx:
        first = intents.intend(tx, claim, rung=1, remedy="reload", identity=ALIVE, deadline=DEADLINE, limits=FREE)
        assert not isinstance(first, Refusal)
        acts.close(tx, first, result="done", why="it did not help", actor=claim.holder)
    no = refused(timed, claim, rung=2)
    assert no.guardrail == "breaker"
    with timed.record() as tx:
        claims.release(tx, claim)
        lifecycle.hand_over(tx, claim.incident, Outcome(Ending.REFUSED, no.reason), actor=claim.holder)
        breakers.reset(tx, LIMIT, target=TARGET, remedy="restart", by="ada", because="seen")
        assert not attempts.is_granted(tx, claim.incident, 2, 1)
        assert attempts.is_granted(tx, claim.incident, 2, 2)


def test_what_is_not_tripped_is_not_reset(timed: Store) -> None:
    for _ in range(3):
        failed(timed)
    for target, remedy in ((TARGET, "reload"), ("web-2/tracking-api", None)):
        with timed.record() as tx, pytest.raises(breakers.NotTripped):
            breakers.reset(tx, LIMIT, target=target, remedy=remedy, by="ada", because="seen")
    with timed.record() as tx, pytest.raises(breakers.NotTripped):
        breakers.reset_fleet(tx, by="ada", because="seen")
    assert "breaker.reset" not in recorded(timed)


def test_after_a_reset_three_more_trip_it_again(timed: Store) -> None:
    for _ in range(3):
        failed(timed)
    with timed.record() as tx:
        breakers.reset(tx, LIMIT, target=TARGET, remedy=None, by="ada", because="seen")
    for _ in range(3):
        failed(timed)
    assert refused(timed, working(timed)).guardrail == "breaker"
    with timed.record() as tx:
        assert len(breakers.reset(tx, LIMIT, target=TARGET, remedy=None, by="bob", because="seen too")) == 1


def test_what_is_well_ends_though_the_breaker_is_tripped(timed: Store) -> None:
    for _ in range(3):
        failed(timed)
    claim = working(timed)
    with timed.record() as tx:
        ended = lifecycle.resolve(tx, claim.incident, Outcome(Ending.RECOVERED, "well"), actor=claim.holder)
    assert ended.state is State.RESOLVED


# --- the fleet --------------------------------------------------------------------------------------------------------


def fleet(percent: int, listed: int) -> Guardrails:
    return Guardrails("act", site=SiteLimits(fleet=FleetLimit(percent, HOUR, listed)))


def cured(store: Store, target: str) -> None:
    failed(store, target=target, result="cured")


def test_where_more_than_the_share_was_changed_every_act_is_stopped_and_one_page_says_so(timed: Store) -> None:
    limits = fleet(30, 20)
    for number in range(6):
        cured(timed, f"web-{number}/api")
    no = refused(timed, working(timed, target="web-7/api"), limits=limits)
    assert no.guardrail == "fleet"
    assert "6 of 20 targets were changed within 1h, and 6 may be (30%)" in no.reason
    other = refused(timed, working(timed, target="web-0/api"), limits=FREE)  # which no other guardrail would stop
    assert other.guardrail == "kill switch"
    assert "too much of the fleet was changed" in other.reason
    assert "`paramedic breaker reset --fleet`" in other.by_hand
    with timed.read() as tx:
        subjects = tx.conn.execute(select(message_rows.c.body).where(message_rows.c.incident.is_(None))).scalars().all()
    assert len(subjects) >= 1


def test_changes_of_the_same_targets_and_of_before_count_once_and_not_at_all(timed: Store, clock: Clock) -> None:
    limits = fleet(30, 20)
    for number in range(6):
        cured(timed, f"web-{number}/api")
    claim = working(timed, target="web-5/api")
    with timed.record() as tx:
        intended(tx, claim, limits=limits)
    clock.advance(timedelta(minutes=61))
    claim = working(timed, target="web-9/api")
    with timed.record() as tx:
        intended(tx, claim, limits=limits)


def test_few_targets_are_no_fleet(timed: Store) -> None:
    for number in range(FEWEST - 1):
        cured(timed, f"web-{number}/api")
    claim = working(timed, target="web-9/api")
    with timed.record() as tx:
        intended(tx, claim, limits=fleet(1, 6))
        assert not breakers.fleet_is_tripped(tx)


def test_after_the_fleet_s_reset_what_waited_is_measured_again_and_counting_begins_anew(timed: Store) -> None:
    limits = fleet(30, 20)
    for number in range(6):
        cured(timed, f"web-{number}/api")
    first = blocked(timed, target="web-7/api", limits=limits)
    second = blocked(timed, target="web-8/api", limits=limits)  # by the pause, which the first has brought
    with timed.record() as tx:
        assert breakers.fleet_waiting(tx) == (first.incident, second.incident)
        assert breakers.reset_fleet(tx, by="ada", because="a bad kernel, rolled back") == (
            first.incident,
            second.incident,
        )
        assert kill_switch.standing(tx) == []
    for claim in (first, second):
        assert state_of(timed, claim.incident) == (State.OPEN, 2)
        again = begun_again(timed, claim.incident)
        with timed.record() as tx:
            intended(tx, again, limits=limits)


def test_a_pause_of_people_s_own_gives_nothing_back_when_the_fleet_s_breaker_is_reset(timed: Store) -> None:
    limits = fleet(30, 20)
    with timed.record() as tx:
        kill_switch.pause(tx, by="ada", reason="we look ourselves")
    paused = blocked(timed, target="web-7/api", limits=limits)
    with timed.read() as tx:
        assert breakers.fleet_waiting(tx) == ()
    assert state_of(timed, paused.incident) == (State.HANDED_OVER, 1)
