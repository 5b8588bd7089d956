"""Somebody sets the clock: what waits comes when it would have come, or earlier, and never later."""

from datetime import timedelta

import pytest
from databases import Clock
from fake_service import target
from incident_states import asking, handed_over, holding
from sqlalchemy import select, update
from watchdog_harness import Harness

from paramedic.checks.check import CheckAtTarget, CheckSpec, check_spec
from paramedic.incidents.incident import State
from paramedic.machine.clock import boot, boottime
from paramedic.store import checks, clock_jumps, lifecycle
from paramedic.store.tables import clocks
from paramedic.watchdog import stuck_work

pytestmark = pytest.mark.real

HOUR = timedelta(hours=1)


def test_where_the_clock_goes_back_the_next_rung_comes_in_its_time_and_a_person_hears_of_it(harness: Harness) -> None:
    incident = handed_over(harness.store)
    harness.after(1)
    harness.clock.jump(-HOUR)
    harness.after(1)
    assert "[Paramedic] The clock went back" in harness.postbox.subjects
    harness.after(10 * 60 - 2)
    assert harness.rungs(incident) == [(0, "sent"), (1, "due")]
    harness.after(1)
    assert harness.rungs(incident)[:2] == [(0, "sent"), (1, "sent")]
    assert harness.postbox.recipients[-1] == "bob@example.org"


def test_where_the_clock_goes_back_an_acknowledgement_ends_in_its_time(harness: Harness) -> None:
    incident = handed_over(harness.store)
    harness.after(1)
    with harness.store.record() as tx:
        lifecycle.acknowledge(tx, incident.number, by="ada", reason="by the link in a message")
    harness.clock.jump(-HOUR)
    harness.after(4 * 3600 - 1)
    assert harness.now(incident).state is State.ACKNOWLEDGED
    harness.after(1)
    assert harness.now(incident).state is State.HANDED_OVER


def test_where_the_clock_goes_back_a_dead_runs_lease_ends_in_its_time(harness: Harness) -> None:
    incident, _ = holding(harness.store)
    harness.outside.runs["run-1"] = "CRASHED"
    harness.after(1)
    harness.clock.jump(-HOUR)
    harness.after(1)
    assert harness.attempts(incident) == ["open"]
    harness.after(10)
    assert harness.attempts(incident) == ["given_up", "open"]


def test_where_the_clock_goes_back_nobody_is_waited_for_longer_than_the_approval_says(harness: Harness) -> None:
    incident, _ = asking(harness.store)
    harness.outside.runs["run-1"] = "PAUSED"
    harness.after(1)
    harness.clock.jump(-HOUR)
    harness.after(15 * 60 - 2)
    assert harness.attempts(incident) == ["open"]
    harness.after(2)
    assert harness.now(incident).because == "nobody approved the restart of web-1/tracking-api within 15m"


def test_where_the_clock_goes_back_checks_that_nobody_takes_are_told_in_their_time(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        stuck_work, "boottime", lambda: boottime() + 181
    )  # as long after the start as the first round may take
    placed = CheckAtTarget("tracking-api-slow", check_spec(CheckSpec)(check="health").build(), target())
    with harness.store.record() as tx:
        checks.expect(tx, placed)
    harness.after(1)
    harness.clock.jump(-HOUR)
    gap = max(placed.check.unknown_after, 3 * placed.check.every).total_seconds()
    harness.after(gap - 2, looks=2)
    assert "[Paramedic] Checks are not taken" not in harness.postbox.subjects
    harness.after(1, looks=2)
    assert "[Paramedic] Checks are not taken" in harness.postbox.subjects


def test_a_clock_that_goes_ahead_moves_nothing_and_what_is_due_then_comes_at_once(harness: Harness) -> None:
    incident = handed_over(harness.store)
    harness.after(1)
    harness.clock.jump(HOUR)
    harness.after(1)
    assert harness.rungs(incident)[:2] == [(0, "sent"), (1, "sent")]
    assert "[Paramedic] The clock went back" not in harness.postbox.subjects
    harness.clock.jump(-HOUR)  # and is set right again
    harness.after(1)
    harness.after(30 * 60)
    assert harness.rungs(incident)[2] == (2, "sent"), "the repeat came in its time"


def test_a_jump_while_no_watchdog_runs_is_seen_by_the_next_one(harness: Harness) -> None:
    harness.after(1)
    harness.clock.jump(-HOUR)
    with harness.store.record() as tx:
        assert clock_jumps.keep_pace(tx, boot(), harness.clock.steady()) == HOUR
        assert clock_jumps.in_step(tx, boot(), harness.clock.steady())


def test_after_another_start_of_the_machine_the_trail_tells_how_far_the_clock_went_back(harness: Harness) -> None:
    incident = handed_over(harness.store)
    harness.after(1)
    harness.clock.jump(-HOUR)
    with harness.store.record() as tx:
        assert clock_jumps.keep_pace(tx, "another start", 30.0) == HOUR
    harness.after(10 * 60)
    assert harness.rungs(incident)[:2] == [(0, "sent"), (1, "sent")]


def test_two_machines_see_one_jump_and_move_the_timers_once(harness: Harness, clock: Clock) -> None:
    harness.after(1)
    with harness.store.record() as tx:
        clock_jumps.keep_pace(tx, "another machine", 30.0)
    clock.jump(-HOUR)
    clock.advance(timedelta(seconds=1))
    with harness.store.record() as tx:
        assert clock_jumps.keep_pace(tx, boot(), clock.steady()) == HOUR
        assert clock_jumps.in_step(tx, "another machine", 31.0)
        assert clock_jumps.keep_pace(tx, "another machine", 31.0) == timedelta(0)


def test_a_watchdog_that_slept_between_its_two_looks_at_the_time_moves_nothing(harness: Harness) -> None:
    harness.after(1)
    watchdog = harness.watchdog
    looks = iter((0.0, 0.0, 3600.0))
    steady = watchdog._steady
    watchdog._steady = lambda: steady() + next(looks)
    with harness.store.record() as tx:  # so that it looks a second time
        tx.conn.execute(update(clocks).values(started_at=tx.now + HOUR))
        known = tx.conn.execute(select(clocks.c.started_at)).scalar_one()
    watchdog.keep_pace()
    with harness.store.read() as tx:
        assert tx.conn.execute(select(clocks.c.started_at)).scalar_one() == known
