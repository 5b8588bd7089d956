"""What is compared with another moment keeps its distance from it when somebody sets the clock back."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from databases import Clock
from fake_service import target
from store_states import FREE, HOUR, TARGET, WELL, again, alert, claimed, intended, opened, refused, working

from paramedic.checks.check import CheckAtTarget, CheckSpec, Sample, check_spec
from paramedic.checks.threshold import Level
from paramedic.machine.clock import boot
from paramedic.remediation.guardrail import Budget
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.store import (
    Store,
    acts,
    attempts,
    checks,
    claims,
    clock_jumps,
    fingerprints,
    incident_alerts,
    incidents,
    lifecycle,
)

MINUTE = timedelta(minutes=1)
SPEC = check_spec(CheckSpec)
BOOT = boot()

SetBack = Callable[[timedelta], None]


@pytest.fixture
def set_back(timed: Store, clock: Clock) -> SetBack:
    """Somebody sets the clock back by so much, and the watchdog sees it."""
    with timed.record() as tx:
        clock_jumps.keep_pace(tx, BOOT, clock.steady())

    def jump(by: timedelta) -> None:
        clock.jump(-by)
        with timed.record() as tx:
            assert clock_jumps.keep_pace(tx, BOOT, clock.steady()) == by

    return jump


def placed() -> CheckAtTarget:
    words = {"check": "http://{host}/health", "name": "http", "error_rate": {"critical": "50%", "for": "0s"}}
    return CheckAtTarget("tracking-api-slow", SPEC(**words).build(), target())


def test_a_check_judges_by_what_it_sees_after_the_clock_was_set_back(
    timed: Store, clock: Clock, set_back: SetBack
) -> None:
    """Else a service that breaks then is well by the samples of an hour that comes again."""
    window = placed().check.window

    def see(error: float, times: int) -> Level:
        for _ in range(times):
            clock.advance(15 * timedelta(seconds=1))
            with timed.record() as tx:
                seen = Sample(clock.now(), {"latency": 0.1, "error": error}, "as the test says")
                checks.record(tx, placed(), seen, blind=False, mass_limit=99)
        with timed.read() as tx:
            found = checks.state(tx, placed(), "error_rate")
        assert found is not None
        return found.standing.level

    enough = int(window / timedelta(seconds=15)) + 1
    assert see(0, 3 * enough) is Level.OK
    set_back(HOUR)
    with timed.read() as tx:
        assert len(checks.evidence(tx, placed())) <= enough, "of its window alone"
        latest = checks.sampled_at(tx, placed())
        assert latest is not None
        assert latest <= tx.now
    assert see(1, enough) is Level.CRITICAL


def test_the_newest_samples_are_kept_after_the_clock_was_set_back(
    timed: Store, clock: Clock, set_back: SetBack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "KEEP", 5)

    def see(why: str, times: int) -> None:
        for _ in range(times):
            clock.advance(15 * timedelta(seconds=1))
            with timed.record() as tx:
                seen = Sample(clock.now(), {"latency": 0.1, "error": 0.0}, why)
                checks.record(tx, placed(), seen, blind=False, mass_limit=99)

    see("before", 5)
    set_back(HOUR)
    see("after", 3)
    with timed.read() as tx:
        kept = [sample.why for sample in checks.recent(tx, placed(), since=clock.now() - HOUR)]
    assert kept == ["before", "before", "after", "after", "after"]


def reopened(store: Store, clock: Clock) -> int:
    """An incident that was cured by a restart, and is open again."""
    claim = working(store, rungs=2)
    with store.record() as tx:
        acts.close(tx, intended(tx, claim), result="cured", why="well", actor=claim.holder)
        lifecycle.resolve(tx, claim.incident, WELL, actor=claim.holder)
        claims.release(tx, claim)
    came = again(clock)
    with store.record() as tx:
        lifecycle.reopen(tx, claim.incident, came, reason="it began again")
        assert attempts.begin_attempt(tx, claim.incident, 2, flow_run="run-2") is None
    return claim.incident


def test_an_act_after_the_clock_was_set_back_is_one_since_the_incident_was_reopened(
    timed: Store, clock: Clock, set_back: SetBack
) -> None:
    """Else the attempt after a crash does not know what was done, and does it again."""
    number = reopened(timed, clock)
    clock.advance(MINUTE)
    set_back(HOUR)
    with timed.record() as tx:
        claim = claimed(tx, number, attempt=2, run="run-2")
        done = intended(tx, claim, rung=2)
        acts.close(tx, done, result="done", why="sent", actor=claim.holder)
    with timed.read() as tx:
        assert [act.rung for act in acts.since_begun(tx, incidents.get(tx, number))] == [2]


def test_the_alerts_of_an_incident_still_count_after_the_clock_was_set_back(
    timed: Store, clock: Clock, set_back: SetBack
) -> None:
    number = reopened(timed, clock)
    clock.advance(MINUTE)
    set_back(HOUR)
    with timed.record() as tx:
        assert incident_alerts.firing(tx, incidents.get(tx, number), at_most=9) == 1
        incident_alerts.note(tx, number, alert(), None)
        assert incident_alerts.firing(tx, incidents.get(tx, number), at_most=9) == 1


def test_a_cooldown_and_a_budget_end_when_they_would_have_ended(timed: Store, clock: Clock, set_back: SetBack) -> None:
    claim = working(timed)
    with timed.record() as tx:
        acts.close(tx, intended(tx, claim, limits=FREE), result="cured", why="well", actor=claim.holder)
        lifecycle.resolve(tx, claim.incident, WELL, actor=claim.holder)
        claims.release(tx, claim)
    set_back(HOUR)
    another = working(timed)
    for limits in (
        Guardrails("act", {"cooldown": 10 * MINUTE}),
        Guardrails("act", {"budget": Budget(1, 10 * MINUTE)}),
    ):
        refused(timed, another, limits=limits)
    clock.advance(11 * MINUTE)
    with timed.record() as tx:
        claims.release(tx, another)
        again = claimed(tx, another.incident)
        intended(tx, again, limits=Guardrails("act", {"cooldown": 10 * MINUTE, "budget": Budget(1, 10 * MINUTE)}))


def test_what_was_well_before_the_clock_was_set_back_holds_back_nothing_after_it(
    timed: Store, clock: Clock, set_back: SetBack
) -> None:
    """Else an alert that begins then began before the end of the last incident, and is held for an hour."""
    with timed.record() as tx:
        number = opened(tx)
        lifecycle.resolve(tx, number, WELL, actor="run:run-1")
        fingerprints.remember(tx, alert())
    clock.advance(MINUTE)
    set_back(HOUR)
    with timed.read() as tx:
        assert incidents.well_at(tx, TARGET) == tx.now - MINUTE
        assert incidents.last_ended_at(tx, TARGET) == tx.now - MINUTE
        last = fingerprints.last_word(tx, alert().fingerprint)
        assert last is not None
        assert last.heard_at == tx.now - MINUTE
