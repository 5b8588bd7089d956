"""An alert that fires and ends again and again reaches a person once, starts no playbook, and is never hidden."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import Clock
from sqlalchemy import select
from store_states import inbox_rows, recorded

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.alerts.flapping import TELL_AGAIN, Bounds
from paramedic.alerts.held_back import HeldBack
from paramedic.catalog.library import read_folder
from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.intake.intake import Intake
from paramedic.store import Store, attempts, inbox, incident_alerts, incidents, lifecycle, outbox, silences
from paramedic.store.table_facts import Restoration, declared
from paramedic.store.tables import flaps, messages

LIBRARY = read_folder(Path(__file__).parents[2] / "runbooks")
MINUTE = timedelta(minutes=1)
BOUNDS = Bounds()
RESOLVED, WARNING, CRITICAL = Status.RESOLVED, Severity.WARNING, Severity.CRITICAL


class Loop:
    """A service that crashes, comes up and crashes again, every two minutes."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store, self.clock, self.began = store, clock, clock.now()

    def say(self, status: Status, severity: Severity = CRITICAL, identity: str = "", **labels: str) -> Any:
        known_as = {"alertname": "TrackingApiMemory", "env": "prod", "instance": "web-1:9100"} | labels
        by = fingerprint("alertmanager", known_as | {"cycle": identity})
        ended = self.clock.now() if status is RESOLVED else None
        alert = Alert("alertmanager", known_as["alertname"], severity, status, self.began, by, known_as, ends_at=ended)
        inbox.receive(self.store, [alert], source="alertmanager", sender="test")
        self.decide()
        return inbox_rows(self.store)[-1]

    def fires(self, severity: Severity = CRITICAL, identity: str = "", **labels: str) -> Any:
        self.began = self.clock.now()
        return self.say(Status.FIRING, severity, identity, **labels)

    def ends(self, severity: Severity = CRITICAL, identity: str = "", **labels: str) -> Any:
        return self.say(RESOLVED, severity, identity, **labels)

    def turn(self, times: int = 1, **how: Any) -> None:
        """It fires for a minute and is well for a minute, so many times."""
        for _ in range(times):
            self.fires(**how)
            self.clock.advance(MINUTE)
            self.ends(**how)
            self.clock.advance(MINUTE)

    def decide(self) -> None:
        Intake(self.store, lambda: LIBRARY).work()

    def later(self, by: timedelta) -> None:
        self.clock.advance(by)
        self.decide()


@pytest.fixture
def loop(store: Store, clock: Clock) -> Loop:
    return Loop(store, clock)


def _told(store: Store, *kinds: str) -> list[Any]:
    with store.read() as tx:
        rows = tx.conn.execute(select(messages).order_by(messages.c.id)).all()
    return [row for row in rows if row.kind in kinds]


def _incidents(store: Store) -> list[Any]:
    with store.read() as tx:
        return sorted(incidents.listed(tx), key=lambda incident: incident.number)


def _orders(store: Store) -> int:
    with store.read() as tx:
        return len(outbox.waiting(tx))


def _cure(store: Store) -> None:
    """A playbook's remedy helps each time, for a minute."""
    for incident in _incidents(store):
        if incident.state is State.OPEN:
            with store.record() as tx:
                attempts.begin_attempt(tx, incident.number, incident.attempt, flow_run="run")
                lifecycle.resolve(tx, incident.number, Outcome(Ending.RECOVERED, "a test"), actor="run:run")


def test_a_crash_loop_that_a_playbook_cures_each_time_reaches_a_person_and_starts_no_further_run(
    store: Store, loop: Loop
) -> None:
    for _ in range(BOUNDS.times):
        loop.turn()
        _cure(store)
    before = len(_incidents(store))
    row = loop.fires()
    assert (row.state, row.verdict, row.held_by) == ("held", "hold", HeldBack.FLAPPING)
    assert "fired and ended 5 times since" in row.reason
    theirs = _incidents(store)[-1]
    assert (theirs.number, theirs.state, theirs.runbook) == (before + 1, State.HANDED_OVER, "tracking-api-memory")
    assert "it flaps" in (theirs.because or "")
    assert theirs.attempt == 0, "no run was ordered and withdrawn"
    assert row.incident == theirs.number
    assert [message.incident for message in _told(store, "rung")] == [theirs.number]
    ordered = _orders(store)
    loop.turn(20)
    assert (len(_incidents(store)), _orders(store)) == (before + 1, ordered)
    assert [message.incident for message in _told(store, "rung")] == [theirs.number], "told once"
    assert len([what for what in recorded(store) if what == "alert.flaps"]) == 1


def test_while_a_playbook_works_on_it_its_incident_goes_to_a_person(store: Store, loop: Loop) -> None:
    loop.turn(BOUNDS.times)
    assert _incidents(store)[0].state is State.OPEN, "so far it is the playbook's"
    loop.fires()
    [incident] = _incidents(store)
    assert incident.state is State.HANDED_OVER
    assert _told(store, "rung")
    with store.read() as tx:
        assert incident_alerts.firing(tx, incident, at_most=9) == 1, "its alert stands on it as it is"


def test_whoever_has_the_incident_hears_of_it_once_and_not_of_each_turn(store: Store, loop: Loop) -> None:
    loop.fires()
    with store.record() as tx:
        lifecycle.acknowledge(tx, 1, by="ada", reason="by link")
    loop.clock.advance(MINUTE)
    loop.ends()
    loop.clock.advance(MINUTE)
    loop.turn(BOUNDS.times)
    told = [message.subject for message in _told(store, "update")]
    assert sum("flaps" in subject for subject in told) == 1
    loop.turn(10)
    assert [message.subject for message in _told(store, "update")] == told
    loop.later(BOUNDS.quiet)
    last = _told(store, "update")[-1]
    assert "flaps no more, and has been over since" in last.subject
    assert (last.recipient, last.severity) == ("ada", WARNING), "its end is never hidden, and wakes nobody"


def test_what_fires_steadily_is_decided_anew_and_said(store: Store, clock: Clock, loop: Loop) -> None:
    loop.turn(BOUNDS.times)
    held = loop.fires()
    loop.later(BOUNDS.quiet - MINUTE)
    assert inbox_rows(store)[-1].state == "held"
    loop.later(MINUTE)
    row = inbox_rows(store)[-1]
    assert (row.position, row.state, row.verdict) == (held.position, "triaged", "join")
    last = _told(store, "update")[-1]
    assert "flaps no more, and fires steadily since" in last.subject
    assert last.severity == CRITICAL
    loop.turn(BOUNDS.times - 1)
    assert loop.fires().verdict == "join", "it is counted anew"


def test_what_is_quiet_is_over_and_its_next_beginning_is_an_alert_like_any(
    store: Store, clock: Clock, loop: Loop
) -> None:
    loop.turn(BOUNDS.times)
    loop.turn()
    with store.record() as tx:
        lifecycle.resolve(tx, 1, Outcome(Ending.HANDED_OVER, "a new disk"), actor="person:ada")
    assert loop.fires().verdict == "hold"
    assert len(_incidents(store)) == 1, "it flaps, and they know"
    clock.advance(MINUTE)
    loop.ends()
    loop.later(BOUNDS.quiet)
    assert [row for row in inbox_rows(store) if row.state == "held"] == []
    with store.read() as tx:
        assert tx.conn.execute(select(flaps)).all() == []
    clock.advance(MINUTE)
    assert loop.fires().verdict == "open"
    assert _orders(store) == 1


def test_what_flaps_on_though_its_incident_was_ended_is_told_again_after_a_time(store: Store, loop: Loop) -> None:
    loop.turn(BOUNDS.times + 1)
    with store.record() as tx:
        lifecycle.resolve(tx, 1, Outcome(Ending.HANDED_OVER, "a new disk"), actor="person:ada")
    loop.turn(TELL_AGAIN // (2 * MINUTE) + 1)
    first, again = _incidents(store)
    assert (first.state, again.state) == (State.RESOLVED, State.HANDED_OVER)
    assert _orders(store) == 0


def test_what_was_told_as_a_warning_does_not_hide_that_it_is_critical(store: Store, loop: Loop) -> None:
    loop.turn(BOUNDS.times + 1, severity=WARNING)
    with store.record() as tx:
        lifecycle.resolve(tx, 1, Outcome(Ending.HANDED_OVER, "we know"), actor="person:ada")
    assert loop.fires(WARNING).incident is None
    loop.clock.advance(MINUTE)
    loop.ends(WARNING)
    loop.clock.advance(MINUTE)
    assert loop.fires(CRITICAL).incident == 2
    assert _incidents(store)[1].severity is CRITICAL


def test_slow_turns_are_no_flapping(store: Store, clock: Clock, loop: Loop) -> None:
    for _ in range(3 * BOUNDS.times):
        assert loop.fires().state == "triaged"
        clock.advance(BOUNDS.within / (BOUNDS.times - 1))
        loop.ends()
        clock.advance(MINUTE)


def test_a_sender_that_names_each_turn_anew_flaps_all_the_same(store: Store, loop: Loop) -> None:
    for cycle in range(BOUNDS.times):
        loop.turn(identity=str(cycle))
    assert loop.fires(identity="next").held_by == HeldBack.FLAPPING


def test_two_servers_that_say_one_turn_are_one_turn(store: Store, loop: Loop) -> None:
    for _ in range(BOUNDS.times - 1):
        loop.fires(replica="a")
        loop.fires(replica="b")
        loop.clock.advance(MINUTE)
        loop.ends(replica="a")
        loop.ends(replica="b")
        loop.clock.advance(MINUTE)
    assert loop.fires(replica="a").state == "triaged"


def test_another_alert_of_the_target_is_not_held(store: Store, loop: Loop) -> None:
    loop.turn(BOUNDS.times + 1)
    assert loop.fires(alertname="TrackingApiDown").verdict == "open"
    assert loop.fires(instance="web-9:9100").verdict == "open"


def test_what_is_silenced_tells_nobody_that_it_flaps(store: Store, clock: Clock, loop: Loop) -> None:
    with store.record() as tx:
        until = tx.now + timedelta(hours=1)
        silences.add(tx, matchers=['env="prod"'], ends_at=until, author="ada", reason="we know")
    loop.turn(2 * BOUNDS.times)
    assert loop.fires().held_by == HeldBack.SILENCE
    assert _incidents(store) == []
    loop.later(until - clock.now())
    assert (len(_incidents(store)), inbox_rows(store)[-1].state) == (1, "triaged")


def test_repetitions_while_it_flaps_stay_held_and_old_turns_do_not_pile_up(
    store: Store, clock: Clock, loop: Loop
) -> None:
    loop.turn(BOUNDS.times + 10)
    loop.fires()
    clock.advance(timedelta(seconds=10))
    loop.say(Status.FIRING)
    held = [row for row in inbox_rows(store) if row.state == "held"]
    assert len(held) <= 2
    assert len(_incidents(store)) == 1


def test_a_restore_holds_nothing_for_what_was_told_before(store: Store, loop: Loop) -> None:
    loop.turn(BOUNDS.times + 1)
    with store.record() as tx:
        for fact in declared():
            if fact.table is flaps and callable(fact.restore):
                fact.restore(tx, Restoration(2, "a test"))
    assert loop.fires().verdict == "join"
