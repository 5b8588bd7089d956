"""What waits and what is under way, in figures: each counts what its name says, and nothing beside."""

from datetime import timedelta

import pytest
from databases import Clock
from incident_states import handed_over

from paramedic.remediation.kill_switch import ALL, FLEET, MASS, scope_of
from paramedic.store import Store, deliveries, kill_switch, messages, running_processes
from paramedic.store.live_work import LATE, LiveWork, live_work
from paramedic.store.running_processes import Running

SECOND = timedelta(seconds=1)


def now(store: Store) -> LiveWork:
    with store.read() as tx:
        return live_work(tx)


def page_of(store: Store) -> int:
    incident = handed_over(store)
    with store.read() as tx:
        [page] = [message.id for message in messages.of(tx, incident.number) if message.kind == "rung"]
    return page


def test_a_page_is_late_once_it_has_been_due_for_a_while(timed: Store, clock: Clock) -> None:
    page_of(timed)
    clock.advance(LATE - SECOND)
    assert (now(timed).messages.count, now(timed).late) == (1, 0)
    clock.advance(SECOND)
    assert (now(timed).late, now(timed).messages.oldest) == (1, LATE)


def test_a_page_that_somebody_is_sending_is_not_due_and_is_due_again_once_nobody_says_what_became_of_it(
    timed: Store, clock: Clock
) -> None:
    page = page_of(timed)
    with timed.record() as tx:
        assert deliveries.take(tx, page)
    assert (now(timed).messages.count, now(timed).retrying) == (0, 0), "its first try is under way"
    clock.advance(deliveries.HOLD)
    assert (now(timed).messages.count, now(timed).retrying) == (1, 0)
    with timed.record() as tx:
        assert deliveries.take(tx, page)
        deliveries.put_off(tx, page, error="refused", until=tx.now + LATE)
    assert (now(timed).messages.count, now(timed).retrying) == (0, 1)


@pytest.mark.parametrize("scope", [ALL, MASS, FLEET])
def test_whatever_stops_every_act_counts_as_a_pause_of_all(timed: Store, scope: str) -> None:
    with timed.record() as tx:
        kill_switch.pause(tx, by="ada", reason="look", scope=scope_of(service="tracking"))
        kill_switch.pause(tx, by="ada", reason="look", scope=scope_of(runbook="tracking-api-memory"))
    assert not now(timed).acts_paused
    with timed.record() as tx:
        kill_switch.pause(tx, by="ada", reason="look", scope=scope)
    assert now(timed).acts_paused
    with timed.record() as tx:
        kill_switch.resume(tx, by="ada", reason="seen", scope=scope)
    assert not now(timed).acts_paused


def test_a_process_is_counted_until_its_lease_ends_however_short_silence_is(timed: Store, clock: Clock) -> None:
    lease = running_processes.lease_of(timedelta(milliseconds=100))
    with timed.write() as tx:
        running_processes.show(tx, Running("gateway", "web-1:/data"), lease=lease)
    clock.advance(9 * SECOND)
    assert now(timed).processes["gateway"] == 1, "a busy machine would miss a shorter one for nothing"
    clock.advance(SECOND)
    assert now(timed).processes["gateway"] == 0
