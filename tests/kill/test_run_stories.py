"""Runs that sleep, die, or are cancelled: what was begun is finished or told, and nothing is done twice."""

import os
import signal
import sqlite3
import time

import psutil
import pytest
from kill.driver import Driver, verify, wait_for
from kill.steps import has_a_bad_release, on_web_2, set_state, stands, wakes_and_ends, whats

from paramedic.demo.world import text_of
from paramedic.incidents.outcome import Ending

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(600)]
sentinel = pytest.mark.sentinel
together = pytest.mark.together

SERVICES = [
    *on_web_2(
        "stopped-before-intent",
        "stopped-after-intent",
        "locked",
        "bad-release-dies",
        "bad-release-half",
    ),
    *on_web_2(
        *(f"cancelled-at-{point}" for point in ("claimed", "evidence_taken", "intent_written", "act_sent", "verified"))
    ),
    ("frozen-supervisord", "web-3", ""),
]


@sentinel
@together
def test_a_run_that_slept_past_its_lease_before_its_intent_begins_no_change_when_it_wakes(whole: Driver) -> None:
    service = whole.service("stopped-before-intent")
    pid = stands(whole, service.name, "evidence_taken")
    os.kill(pid, signal.SIGSTOP)
    incident = whole.ended(service)
    assert (incident.ending, incident.attempt, service.starts) == (Ending.REMEDIATED, 2, 2), whole.told_of(service)
    wakes_and_ends(whole, service, pid, "evidence_taken")
    assert service.starts == 2
    assert len(whole.acts_of(incident)) == 1


@sentinel
@together
def test_a_run_that_slept_between_intent_and_first_byte_finds_claim_and_deadline_gone(whole: Driver) -> None:
    service = whole.service("stopped-after-intent")
    pid = stands(whole, service.name, "intent_written")
    os.kill(pid, signal.SIGSTOP)
    incident = whole.ended(service)
    assert (incident.ending, service.starts) == (Ending.HANDED_OVER, 1), whole.told_of(service)
    assert "nobody knows whether it happened" in text_of(whole.mailbox.about(incident.id)[0]), (
        "the page names the open act"
    )
    wakes_and_ends(whole, service, pid, "intent_written")
    assert service.starts == 1, "the woken run restarted a target that somebody else has"
    assert [act.result for act in whole.acts_of(incident)] == ["not_sent"]


@together
@pytest.mark.parametrize(
    ("point", "restarts", "ending"),
    [
        ("claimed", 0, Ending.HANDED_OVER),
        pytest.param("evidence_taken", 0, Ending.HANDED_OVER, marks=sentinel),
        ("intent_written", 1, Ending.HANDED_OVER),  # the change has begun: it runs to its end, and nothing follows it
        ("act_sent", 1, Ending.HANDED_OVER),
        ("verified", 1, Ending.REMEDIATED),  # there is nothing left to stop
    ],
)
def test_cancelled_in_the_ui_it_stops_before_its_next_change_and_a_person_gets_it(
    whole: Driver, point: str, restarts: int, ending: Ending
) -> None:
    service = whole.service(f"cancelled-at-{point}")
    stands(whole, service.name, point)
    run = whole.flow_runs(whole.incidents_on(service)[0])[0]["id"]
    set_state(whole, run, type="CANCELLING", name="Cancelling")
    whole.release(point, service)
    incident = whole.ended(service)
    assert (incident.ending, service.starts) == (ending, 1 + restarts), whole.told_of(service)
    finished = ("CANCELLED", "COMPLETED")
    wait_for("the run's end", lambda: whole.flow_runs(incident)[0]["state_type"] in finished, whole.tick)
    assert incident.attempt == 1, "a cancelled run is not followed by another"


def test_a_store_that_is_locked_for_a_while_stops_nothing_for_good(whole: Driver) -> None:
    service = whole.service("locked")
    stands(whole, service.name, "evidence_taken")
    database = sqlite3.connect(whole.folder / "data" / "paramedic.db", timeout=10, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    whole.release("evidence_taken", service)
    until = time.monotonic() + 12
    while time.monotonic() < until:
        whole.tick()
        assert service.starts == 1, "it acted, and the intent cannot have been written"
        time.sleep(0.2)
    database.execute("ROLLBACK")
    database.close()
    incident = whole.ended(service)
    assert (incident.ending, service.starts) == (Ending.REMEDIATED, 2), whole.told_of(service)


@together
def test_a_run_that_dies_between_two_rungs_is_followed_by_one_that_takes_the_second(whole: Driver) -> None:
    service = has_a_bad_release(whole, "bad-release-dies")
    whole.arm("verified", service)
    whole.send(whole.alert(service, env="ladder"))
    os.kill(whole.stands_at("verified", service), signal.SIGKILL)
    whole.release("verified", service)
    incident = whole.ended(service)
    assert (incident.ending, incident.attempt) == (Ending.REMEDIATED, 2), incident.because
    assert (service.release, service.starts) == ("v1", 4), "the first rung was tried once, and so was the second"


@together
def test_a_roll_back_that_died_half_done_is_not_repeated_and_a_person_hears_what_is_open(whole: Driver) -> None:
    service = has_a_bad_release(whole, "bad-release-half")
    whole.arm("act_sent", service)
    whole.send(whole.alert(service, env="rollback"))
    os.kill(whole.stands_at("act_sent", service), signal.SIGKILL)
    whole.release("act_sent", service)
    incident = whole.ended(service)
    assert (incident.ending, service.release, service.starts) == (Ending.HANDED_OVER, "v1", 2), whole.told_of(service)
    assert "roll_back" in (incident.because or "")
    assert "nobody knows whether it happened" in text_of(whole.mailbox.about(incident.id)[0])


@together
def test_an_act_without_an_answer_is_not_repeated(whole: Driver) -> None:
    """supervisord stands still after it was sent the restart; it is carried out late, once."""
    service = whole.service("frozen-supervisord")
    stands(whole, service.name, "intent_written")
    number = whole.incidents_on(service)[0].number
    supervisord = psutil.Process(whole.world.pid(service.host))
    whole.arm("act_sent", service)
    whole.release("intent_written", service)
    whole.stands_at("act_sent", service)
    supervisord.suspend()
    try:
        whole.release("act_sent", service)
        incident = whole.ended(service, seconds=120)
    finally:
        supervisord.resume()
    assert incident.ending in (Ending.HANDED_OVER, Ending.REMEDIATED), incident.because
    wait_for("the late restart", lambda: service.starts == 2, whole.tick)
    assert len(whole.acts_of(incident)) == 1
    assert whats(whole, number).count("restart") == 1


@sentinel
def test_after_all_stories_the_trail_verifies_and_nothing_was_lost(whole: Driver) -> None:
    verify(whole)
