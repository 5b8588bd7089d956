"""Looks at cures: planned with the cure, due an hour and a day after it whatever the clock does, judged once."""

from datetime import timedelta

import pytest
from databases import Clock
from store_states import ALIVE, HOUR, TARGET, WELL, alert, claimed, intended, opened, recorded, working

from paramedic.incidents.outcome import Ending, Outcome
from paramedic.remediation.cure import CureLook, Held
from paramedic.store import Store, acts, attempts, claims, clock_jumps, cure_looks, incidents, lifecycle
from paramedic.store.acts import Act

RUNBOOK = "tracking-api-memory"


def cured(store: Store, *, target: str = TARGET) -> Act:
    """An act that helped, and whose incident is over."""
    claim = working(store, target=target)
    with store.record() as tx:
        act = intended(tx, claim)
        acts.close(tx, act, result="cured", why="verified well after it", actor="run:run-1")
        cure_looks.plan(tx, act, ALIVE)
        lifecycle.resolve(tx, claim.incident, WELL, actor="run:run-1")
        claims.release(tx, claim)
    return act


def due(store: Store) -> list[CureLook]:
    with store.read() as tx:
        return cure_looks.due(tx)


def test_a_cure_is_looked_at_after_an_hour_and_after_a_day(timed: Store, clock: Clock) -> None:
    act = cured(timed)
    with timed.record() as tx:
        cure_looks.plan(tx, act, ALIVE)  # again: nothing more is planned
    clock.advance(HOUR - timedelta(seconds=1))
    assert due(timed) == []
    clock.advance(timedelta(seconds=1))
    [look] = due(timed)
    assert (look.act, look.target, look.runbook, look.remedy, look.after) == (act.id, TARGET, RUNBOOK, "restart", HOUR)
    assert (look.before, look.identity, look.verdict) == (ALIVE, ALIVE, None)
    with timed.record() as tx:
        judged = cure_looks.judge(tx, look, Held.HELD, "every condition holds", actor="run:run-2")
    assert judged.words == "1h after the restart the cure holds: every condition holds"
    assert due(timed) == []
    clock.advance(23 * HOUR)
    assert [look.after for look in due(timed)] == [24 * HOUR]


def test_a_verdict_is_written_once_and_stands_on_the_incidents_timeline(timed: Store, clock: Clock) -> None:
    act = cured(timed)
    clock.advance(HOUR)
    [look] = due(timed)
    with timed.record() as tx:
        cure_looks.judge(tx, look, Held.UNDONE, "release v7 is current again", actor="run:run-2")
        again = cure_looks.judge(tx, look, Held.HELD, "well", actor="run:run-3")
    assert (again.verdict, again.why) == (Held.UNDONE, "release v7 is current again")
    assert [what for what in recorded(timed, act.incident) if what.startswith("cure.")] == ["cure.undone"]
    with timed.read() as tx:
        assert [(one.after, one.verdict) for one in cure_looks.of(tx, act.incident)] == [
            (HOUR, Held.UNDONE),
            (24 * HOUR, None),
        ]
        assert len(cure_looks.of_runbook(tx, RUNBOOK)) == 2
        assert cure_looks.of_runbook(tx, "another") == []


@pytest.mark.parametrize("reboots", [False, True])
def test_a_clock_that_is_set_back_moves_the_looks_back_with_it(timed: Store, clock: Clock, *, reboots: bool) -> None:
    with timed.record() as tx:
        clock_jumps.keep_pace(tx, "boot-1", clock.steady())
    cured(timed)
    clock.advance(timedelta(minutes=30))
    clock.jump(timedelta(hours=-3))
    with timed.record() as tx:
        clock_jumps.keep_pace(tx, "boot-2" if reboots else "boot-1", 0.0 if reboots else clock.steady())
    if reboots:  # the trail's last entry tells how far back it went, at least
        clock.advance(HOUR)
        assert len(due(timed)) == 1
        return
    clock.advance(timedelta(minutes=29))
    assert due(timed) == []
    clock.advance(timedelta(minutes=1))
    assert len(due(timed)) == 1


def _opened_again(store: Store, act: Act, clock: Clock) -> str:
    with store.record() as tx:
        lifecycle.reopen(tx, act.incident, alert(starts_at=clock.now()), reason="it began again")
        return f"{incidents.get(tx, act.incident).id}, opened again,"


def _another(store: Store, *, target: str = TARGET, title: str = "TrackingApiMemory", plan: bool = True) -> str:
    with store.record() as tx:
        number = opened(tx, target=target, received=alert(title), plan=plan)
        return incidents.get(tx, number).id


def came_back(store: Store) -> str | None:
    with store.read() as tx:
        return cure_looks.came_back(tx, cure_looks.due(tx)[0])


def test_the_same_fault_since_then_says_that_it_did_not_hold(timed: Store, clock: Clock) -> None:
    act = cured(timed)
    clock.advance(HOUR)
    assert came_back(timed) is None
    again = _opened_again(timed, act, clock)
    assert came_back(timed) == again


def test_another_incident_of_its_runbook_or_title_says_so_too(timed: Store, clock: Clock) -> None:
    cured(timed)
    clock.advance(HOUR)
    _another(timed, target="web-2/tracking-api")
    assert came_back(timed) is None, "another target"
    other = _another(timed)
    assert came_back(timed) == other


def test_another_fault_of_the_target_and_one_that_was_none_say_nothing(timed: Store, clock: Clock) -> None:
    cured(timed)
    clock.advance(HOUR)
    _another(timed, title="DiskFull", plan=False)
    assert came_back(timed) is None
    with timed.record() as tx:
        [number] = [one.number for one in incidents.listed(tx) if one.title == "DiskFull"]
        lifecycle.resolve(tx, number, Outcome(Ending.HANDED_OVER, "cleaned"), actor="person:ada")
    _another(timed)
    with timed.record() as tx:
        number = incidents.listed(tx)[0].number
        assert attempts.begin_attempt(tx, number, 1, flow_run="run-9") is None
        claimed(tx, number, run="run-9")
        lifecycle.resolve(tx, number, Outcome(Ending.RECOVERED, "well before anything was done"), actor="run:run-9")
    assert came_back(timed) is None, "it was well by itself"


def test_what_saw_nothing_comes_after_what_was_not_looked_at(timed: Store, clock: Clock) -> None:
    for target in ("web-1/tracking-api", "web-2/tracking-api"):
        cured(timed, target=target)
    clock.advance(HOUR)
    first, _ = due(timed)
    with timed.record() as tx:
        cure_looks.saw_nothing(tx, first)
        began = tx.now
    clock.advance(timedelta(minutes=5))
    with timed.record() as tx:
        cure_looks.saw_nothing(tx, first)
    assert [(look.target, look.blind_since) for look in due(timed)] == [
        ("web-2/tracking-api", None),
        ("web-1/tracking-api", began),
    ]


def test_a_look_that_nobody_takes_is_known(timed: Store, clock: Clock) -> None:
    cured(timed)
    clock.advance(2 * HOUR)
    with timed.read() as tx:
        assert cure_looks.forgotten(tx, timedelta(minutes=61)) == []
        assert [look.after for look in cure_looks.forgotten(tx, timedelta(minutes=60))] == [HOUR]
