"""Somebody sets the clock: what waits comes when it would have come, or earlier, and never later."""

from datetime import timedelta

import pytest
from databases import Clock
from incident_states import asking, handed_over, holding
from sqlalchemy import select, update
from watchdog_harness import Kennel

from paramedic.incidents.incident import State
from paramedic.machine.clock import boot
from paramedic.store import clock_jumps, lifecycle
from paramedic.store.tables import clocks

pytestmark = pytest.mark.real

HOUR = timedelta(hours=1)


def test_where_the_clock_goes_back_the_next_rung_comes_in_its_time_and_a_person_hears_of_it(kennel: Kennel) -> None:
    incident = handed_over(kennel.store)
    kennel.after(1)
    kennel.clock.jump(-HOUR)
    kennel.after(1)
    assert "[Paramedic] The clock went back" in kennel.postbox.subjects
    kennel.after(10 * 60 - 2)
    assert kennel.rungs(incident) == [(0, "sent"), (1, "due")]
    kennel.after(1)
    assert kennel.rungs(incident)[:2] == [(0, "sent"), (1, "sent")]
    assert kennel.postbox.recipients[-1] == "bob@example.org"


def test_where_the_clock_goes_back_an_acknowledgement_ends_in_its_time(kennel: Kennel) -> None:
    incident = handed_over(kennel.store)
    kennel.after(1)
    with kennel.store.record() as tx:
        lifecycle.acknowledge(tx, incident.number, by="ada", reason="by the link in a message")
    kennel.clock.jump(-HOUR)
    kennel.after(4 * 3600 - 1)
    assert kennel.now(incident).state is State.ACKNOWLEDGED
    kennel.after(1)
    assert kennel.now(incident).state is State.HANDED_OVER


def test_where_the_clock_goes_back_a_dead_runs_lease_ends_in_its_time(kennel: Kennel) -> None:
    incident, _ = holding(kennel.store)
    kennel.outside.runs["run-1"] = "CRASHED"
    kennel.after(1)
    kennel.clock.jump(-HOUR)
    kennel.after(1)
    assert kennel.attempts(incident) == ["open"]
    kennel.after(10)
    assert kennel.attempts(incident) == ["given_up", "open"]


def test_where_the_clock_goes_back_nobody_is_waited_for_longer_than_the_approval_says(kennel: Kennel) -> None:
    incident, _ = asking(kennel.store)
    kennel.outside.runs["run-1"] = "PAUSED"
    kennel.after(1)
    kennel.clock.jump(-HOUR)
    kennel.after(15 * 60 - 2)
    assert kennel.attempts(incident) == ["open"]
    kennel.after(2)
    assert kennel.now(incident).because == "nobody approved the restart of web-1/tracking-api within 15m"


def test_a_clock_that_goes_ahead_moves_nothing_and_what_is_due_then_comes_at_once(kennel: Kennel) -> None:
    incident = handed_over(kennel.store)
    kennel.after(1)
    kennel.clock.jump(HOUR)
    kennel.after(1)
    assert kennel.rungs(incident)[:2] == [(0, "sent"), (1, "sent")]
    assert "[Paramedic] The clock went back" not in kennel.postbox.subjects
    kennel.clock.jump(-HOUR)  # and is set right again
    kennel.after(1)
    kennel.after(30 * 60)
    assert kennel.rungs(incident)[2] == (2, "sent"), "the repeat came in its time"


def test_a_jump_while_no_watchdog_runs_is_seen_by_the_next_one(kennel: Kennel) -> None:
    kennel.after(1)
    kennel.clock.jump(-HOUR)
    with kennel.store.record() as tx:
        assert clock_jumps.keep_pace(tx, boot(), kennel.clock.steady()) == HOUR
        assert clock_jumps.in_step(tx, boot(), kennel.clock.steady())


def test_after_another_start_of_the_machine_the_trail_tells_how_far_the_clock_went_back(kennel: Kennel) -> None:
    incident = handed_over(kennel.store)
    kennel.after(1)
    kennel.clock.jump(-HOUR)
    with kennel.store.record() as tx:
        assert clock_jumps.keep_pace(tx, "another start", 30.0) == HOUR
    kennel.after(10 * 60)
    assert kennel.rungs(incident)[:2] == [(0, "sent"), (1, "sent")]


def test_two_machines_see_one_jump_and_move_the_timers_once(kennel: Kennel, clock: Clock) -> None:
    kennel.after(1)
    with kennel.store.record() as tx:
        clock_jumps.keep_pace(tx, "another machine", 30.0)
    clock.jump(-HOUR)
    clock.advance(timedelta(seconds=1))
    with kennel.store.record() as tx:
        assert clock_jumps.keep_pace(tx, boot(), clock.steady()) == HOUR
        assert clock_jumps.in_step(tx, "another machine", 31.0)
        assert clock_jumps.keep_pace(tx, "another machine", 31.0) == timedelta(0)


def test_a_watchdog_that_slept_between_its_two_looks_at_the_time_moves_nothing(kennel: Kennel) -> None:
    kennel.after(1)
    watchdog = kennel.watchdog
    looks = iter((0.0, 0.0, 3600.0))
    steady = watchdog._steady
    watchdog._steady = lambda: steady() + next(looks)
    with kennel.store.record() as tx:  # so that it looks a second time
        tx.conn.execute(update(clocks).values(started_at=tx.now + HOUR))
        known = tx.conn.execute(select(clocks.c.started_at)).scalar_one()
    watchdog.keep_pace()
    with kennel.store.read() as tx:
        assert tx.conn.execute(select(clocks.c.started_at)).scalar_one() == known
