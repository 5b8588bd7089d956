"""An attempt whose run died, or that nobody takes: who has the incident next."""

from datetime import timedelta

import pytest
from incident_states import acting, asking, begun, dispatched, holding, ordered, send
from mail_server import text_of
from watchdog_harness import Harness

from paramedic.incidents.incident import Incident, State
from paramedic.remediation.approval import Answer
from paramedic.settings import Settings
from paramedic.store import Store, approvals, attempts, claims, lifecycle
from paramedic.store.attempts import Attempt
from paramedic.store.claims import Claim
from paramedic.watchdog.attempts import AttemptProgress, Attempts, AttemptVerdict, Suspect, judge, suspect
from paramedic.watchdog.prefect_status import GONE, PrefectStatus

pytestmark = pytest.mark.real

#: Where the attempt stands, for how many seconds nothing was heard, what Prefect says, and what is right.
TABLE = [
    (AttemptProgress.HOLDING, 0, "RUNNING", AttemptVerdict.WAIT),
    (
        AttemptProgress.HOLDING,
        0,
        "CRASHED",
        AttemptVerdict.WAIT,
    ),  # a run that was declared dead may be alive: believe its claim
    (AttemptProgress.HOLDING, 0, "CANCELLING", AttemptVerdict.WAIT),  # it sees that itself
    (AttemptProgress.HOLDING, 0, "CANCELLED", AttemptVerdict.HAND_OVER),
    (AttemptProgress.HOLDING, 0, GONE, AttemptVerdict.WAIT),
    (AttemptProgress.HOLDING, 0, None, AttemptVerdict.WAIT),
    (AttemptProgress.LAPSED, 1, "CRASHED", AttemptVerdict.RAISE),
    (AttemptProgress.LAPSED, 1, "RUNNING", AttemptVerdict.RAISE),  # Prefect has not noticed yet
    (AttemptProgress.LAPSED, 1, "COMPLETED", AttemptVerdict.RAISE),
    (AttemptProgress.LAPSED, 1, GONE, AttemptVerdict.RAISE),
    (AttemptProgress.LAPSED, 1, "CANCELLED", AttemptVerdict.HAND_OVER),
    (AttemptProgress.LAPSED, 1, "CANCELLING", AttemptVerdict.HAND_OVER),
    (AttemptProgress.LAPSED, 1, "PAUSED", AttemptVerdict.HAND_OVER),
    (AttemptProgress.LAPSED, 60, None, AttemptVerdict.WAIT),  # it may have been cancelled
    (AttemptProgress.LAPSED, 61, None, AttemptVerdict.HAND_OVER),
    (AttemptProgress.UNCLAIMED, 30, "CRASHED", AttemptVerdict.WAIT),  # a story may stand before its claim, or behind it
    (AttemptProgress.UNCLAIMED, 31, "CRASHED", AttemptVerdict.RAISE),
    (AttemptProgress.UNCLAIMED, 31, "CANCELLED", AttemptVerdict.HAND_OVER),
    (AttemptProgress.UNCLAIMED, 31, None, AttemptVerdict.WAIT),
    (AttemptProgress.UNCLAIMED, 61, None, AttemptVerdict.HAND_OVER),
    (AttemptProgress.WAITING, 0, "PAUSED", AttemptVerdict.WAIT),  # a person may take their time
    (AttemptProgress.WAITING, 999, "PAUSED", AttemptVerdict.WAIT),  # killed with its claim, once it was suspended
    (AttemptProgress.WAITING, 999, None, AttemptVerdict.WAIT),
    (AttemptProgress.WAITING, 0, "SCHEDULED", AttemptVerdict.WAIT),  # answered in Prefect's form, and not back yet
    (AttemptProgress.WAITING, 0, "RUNNING", AttemptVerdict.WAIT),
    (AttemptProgress.WAITING, 31, "RUNNING", AttemptVerdict.RAISE),  # killed with its claim, before it was suspended
    (AttemptProgress.WAITING, 0, "CANCELLED", AttemptVerdict.HAND_OVER),
    (AttemptProgress.WAITING, 0, "CANCELLING", AttemptVerdict.HAND_OVER),
    (AttemptProgress.WAITING, 0, "CRASHED", AttemptVerdict.RAISE),
    (AttemptProgress.WAITING, 0, "FAILED", AttemptVerdict.RAISE),
    (AttemptProgress.WAITING, 0, GONE, AttemptVerdict.RAISE),
    (AttemptProgress.DECIDED, 30, "PAUSED", AttemptVerdict.WAIT),
    (AttemptProgress.DECIDED, 60, "PAUSED", AttemptVerdict.WAIT),
    (AttemptProgress.DECIDED, 61, "PAUSED", AttemptVerdict.HAND_OVER),  # nobody resumes it
    (AttemptProgress.DECIDED, 61, "SCHEDULED", AttemptVerdict.HAND_OVER),
    (AttemptProgress.DECIDED, 60, "RUNNING", AttemptVerdict.WAIT),
    (AttemptProgress.DECIDED, 61, "RUNNING", AttemptVerdict.RAISE),
    (AttemptProgress.DECIDED, 31, "CRASHED", AttemptVerdict.RAISE),
    (AttemptProgress.DECIDED, 31, "CANCELLED", AttemptVerdict.HAND_OVER),
    (AttemptProgress.UNBEGUN, 30, "CRASHED", AttemptVerdict.WAIT),
    (AttemptProgress.UNBEGUN, 31, "CRASHED", AttemptVerdict.RAISE),
    (AttemptProgress.UNBEGUN, 31, "FAILED", AttemptVerdict.RAISE),
    (AttemptProgress.UNBEGUN, 31, "COMPLETED", AttemptVerdict.RAISE),
    (AttemptProgress.UNBEGUN, 31, GONE, AttemptVerdict.RAISE),  # another Prefect stands there
    (AttemptProgress.UNBEGUN, 31, "CANCELLED", AttemptVerdict.HAND_OVER),
    (AttemptProgress.UNBEGUN, 60, "SCHEDULED", AttemptVerdict.WAIT),  # late alone is not a fault
    (AttemptProgress.UNBEGUN, 61, "SCHEDULED", AttemptVerdict.HAND_OVER),
    (AttemptProgress.UNBEGUN, 60, "RUNNING", AttemptVerdict.WAIT),  # a stock worker imports for long
    (AttemptProgress.UNBEGUN, 61, "RUNNING", AttemptVerdict.RAISE),
    (AttemptProgress.UNBEGUN, 61, "PENDING", AttemptVerdict.RAISE),
    (AttemptProgress.UNBEGUN, 60, None, AttemptVerdict.WAIT),
    (AttemptProgress.UNBEGUN, 61, None, AttemptVerdict.HAND_OVER),
]


@pytest.mark.parametrize(("stand", "seconds", "state", "right"), TABLE)
@pytest.mark.parametrize("backend", ["sqlite"])
def test_the_fate_of_an_attempt(
    timed: Store, stand: AttemptProgress, seconds: int, state: str | None, right: AttemptVerdict
) -> None:
    incident = dispatched(timed)
    with timed.read() as tx:
        attempt = attempts.get(tx, incident.number, 1)
    assert attempt is not None
    fate, reason = judge(Suspect(attempt, incident, stand, timedelta(seconds=seconds)), state, Settings())
    assert fate is right, reason
    assert reason


def test_where_an_attempt_stands_is_read_from_the_store_alone(timed: Store, harness: Harness) -> None:
    def look(incident: Incident) -> Suspect | None:
        with timed.read() as tx:
            attempt: Attempt | None = attempts.get(tx, incident.number, 1)
            assert attempt is not None
            return suspect(tx, attempt)

    def stands(incident: Incident) -> AttemptProgress | None:
        found = look(incident)
        return found.stand if found else None

    waiting, unbegun, unclaimed = ordered(timed, "web-1/a"), dispatched(timed, "web-1/b"), begun(timed, "web-1/c")
    working, _ = holding(timed, "web-1/d")
    done, claim = holding(timed, "web-1/e")
    with timed.write() as tx:
        claims.release(tx, claim)
    everything = (waiting, unbegun, unclaimed, working, done)
    assert [stands(incident) for incident in everything] == [
        None,
        AttemptProgress.UNBEGUN,
        AttemptProgress.UNCLAIMED,
        AttemptProgress.HOLDING,
        AttemptProgress.UNCLAIMED,
    ]
    harness.clock.advance(timedelta(seconds=11))
    assert stands(working) is AttemptProgress.LAPSED
    assert stands(done) is AttemptProgress.UNCLAIMED
    with timed.record() as tx:
        lifecycle.acknowledge(tx, working.number, by="ada", reason="on the command line")
    assert look(working) is None


def test_a_run_that_died_is_followed_by_a_higher_attempt_and_at_last_by_a_person(harness: Harness) -> None:
    incident, _ = holding(harness.store)
    harness.outside.runs["run-1"] = "CRASHED"
    harness.after(5)
    assert harness.attempts(incident) == ["open"]
    harness.after(6)
    assert harness.attempts(incident) == ["given_up", "open"]
    assert "the run of attempt 1 lost its claim (Prefect: CRASHED)" in harness.reasons()
    for attempt in (2, 3):
        with harness.store.record() as tx:
            send(tx, incident, attempt)
        harness.outside.runs[f"run-{attempt}"] = "FAILED"
        harness.after(31)
    assert harness.attempts(incident) == ["given_up", "given_up", "closed"]
    now = harness.now(incident)
    assert now.state is State.HANDED_OVER
    assert now.because == (
        "the run of attempt 3 is FAILED and never began here: Prefect does not say why; look at the output of the worker "
        "that took it; that was attempt 3 of 3"
    )
    assert harness.postbox.recipients == ["ada@example.org"]  # in the same round


def test_an_act_without_an_outcome_is_never_repeated_and_is_named(harness: Harness) -> None:
    incident, act = acting(harness.store)
    harness.outside.runs["run-1"] = "CRASHED"
    harness.after(11)
    assert harness.attempts(incident) == ["given_up", "open"]
    with harness.store.read() as tx:  # the next attempt can only look: its rung is spent
        from paramedic.store.tables import grants

        assert [(row.attempt, row.state) for row in tx.conn.execute(grants.select())] == [(1, "spent")]
    with harness.store.record() as tx:
        send(tx, incident, 2)
    harness.outside.runs["run-2"] = "CANCELLED"
    harness.after(31)
    because = harness.now(incident).because or ""
    assert because == f"an operator cancelled the run in Prefect; {act.words} has no outcome"
    assert "OPEN: restarted web-1/tracking-api: nobody knows whether it happened" in text_of(harness.postbox.letters[0])


def test_an_attempt_that_waits_for_a_person_is_not_suspected_until_its_time_is_over(harness: Harness) -> None:
    incident, _ = asking(harness.store)
    harness.outside.runs["run-1"] = "PAUSED"
    for _ in range(14):
        harness.after(60)
    assert harness.attempts(incident) == ["open"]
    harness.outside.runs["run-1"] = "FAILED"  # Prefect's own time-out, with nobody to notice
    harness.after(60)
    now = harness.now(incident)
    assert (now.state, now.attempt) == (State.HANDED_OVER, 1)
    assert now.because == "nobody approved the restart of web-1/tracking-api within 15m"
    assert harness.postbox.recipients[-1] == "ada@example.org"
    assert f"({incident.id})" in harness.postbox.subjects[-1]


@pytest.mark.parametrize("backend", ["sqlite"])
def test_who_has_answered_is_not_asked_again_because_the_run_is_late(timed: Store) -> None:
    incident = dispatched(timed)
    with timed.read() as tx:
        attempt = attempts.get(tx, incident.number, 1)
    assert attempt is not None
    quick = Settings(claim_within=timedelta(seconds=15))
    for stand, right in (
        (AttemptProgress.UNBEGUN, AttemptVerdict.RAISE),
        (AttemptProgress.DECIDED, AttemptVerdict.WAIT),
    ):
        assert judge(Suspect(attempt, incident, stand, timedelta(seconds=45)), "PENDING", quick)[0] is right


def test_a_cancel_while_a_person_is_asked_hands_over_at_once(harness: Harness) -> None:
    incident, _ = asking(harness.store)
    harness.outside.runs["run-1"] = "CANCELLED"
    harness.after(1)
    assert harness.now(incident).because == "an operator cancelled the run in Prefect"


def test_while_it_waits_another_incident_may_have_the_claim(harness: Harness) -> None:
    incident, _ = asking(harness.store)
    harness.outside.runs["run-1"] = "PAUSED"
    with harness.store.record() as tx:
        other = claims.take(
            tx, target=incident.target, incident=77, attempt=1, holder="run:other", lease=timedelta(hours=1)
        )
    assert isinstance(other, Claim)
    harness.after(300)
    assert harness.attempts(incident) == ["open"]


def test_a_run_that_died_as_it_asked_is_followed_by_another_that_asks_anew(harness: Harness) -> None:
    incident, asked = asking(harness.store)
    harness.outside.runs["run-1"] = "CRASHED"
    harness.after(1)
    assert harness.attempts(incident) == ["given_up", "open"]
    with harness.store.read() as tx:
        assert approvals.get(tx, asked.id).state is Answer.EXPIRED


def test_an_answer_that_nobody_carries_to_prefect_is_suspected_from_the_answer_on(harness: Harness) -> None:
    incident, asked = asking(harness.store)
    harness.outside.runs["run-1"] = "PAUSED"
    harness.after(600)
    with harness.store.record() as tx:
        assert not isinstance(approvals.decide(tx, asked.id, granted=True, by="ada", how="link"), str)
    harness.after(60)
    assert harness.attempts(incident) == ["open"]
    harness.after(1)
    assert harness.now(incident).because == "nobody resumed the run for 1m 1s after a person's answer: is dispatch up?"


def test_a_cancel_is_never_answered_with_a_new_attempt(harness: Harness) -> None:
    incident, _ = holding(harness.store)
    harness.outside.runs["run-1"] = "CANCELLED"
    harness.after(5)  # though its claim is live
    assert harness.now(incident).because == "an operator cancelled the run in Prefect"
    assert harness.attempts(incident) == ["closed"]


def test_a_live_claim_is_believed_whatever_prefect_says(harness: Harness) -> None:
    incident, claim = holding(harness.store)
    for state in ("CRASHED", "COMPLETED", "FAILED", "PENDING"):
        harness.outside.runs["run-1"] = state
        harness.after(5)
        with harness.store.write() as tx:
            assert claims.renew(tx, claim, timedelta(seconds=10))
    assert harness.attempts(incident) == ["open"]


def test_a_prefect_that_is_silent_is_waited_for_and_then_a_person_has_it(harness: Harness) -> None:
    incident, _ = holding(harness.store)
    harness.outside.silent.add("api")
    harness.after(11)
    harness.after(55)
    assert harness.attempts(incident) == ["open"]
    harness.after(10)
    assert harness.now(incident).state is State.HANDED_OVER
    assert "Prefect does not say what became of it" in (harness.now(incident).because or "")


def test_after_hours_in_which_nothing_ran_prefect_has_the_time_to_start_too(harness: Harness) -> None:
    """The machine was off: the run's silence is hours long, that of Prefect to this watchdog has just begun."""
    incident, _ = holding(harness.store)
    harness.outside.silent.add("api")
    harness.clock.advance(timedelta(hours=5))
    steady, settings = harness.clock.steady, harness.watchdog._settings
    started = Attempts(harness.store, settings, PrefectStatus(settings), steady)
    started.look()
    harness.clock.advance(settings.silent_after)
    started.look()
    assert harness.attempts(incident) == ["open"]
    harness.clock.advance(timedelta(seconds=1))
    started.look()
    assert harness.now(incident).state is State.HANDED_OVER


def test_a_run_that_moves_while_prefect_is_asked_is_left_alone(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = dispatched(harness.store)

    def answer_late(_: PrefectStatus, __: str) -> str:
        with harness.store.record() as tx:
            assert attempts.begin_attempt(tx, incident.number, 1, flow_run="run-1") is None
        return "CRASHED"

    monkeypatch.setattr(PrefectStatus, "state", answer_late)
    harness.after(31)
    assert harness.attempts(incident) == ["open"]


def test_a_prefect_that_lets_one_look_wait_is_asked_once_a_round(harness: Harness) -> None:
    for host in "abcde":
        dispatched(harness.store, f"web-1/{host}")
    harness.outside.silent.add("api")
    harness.after(31)
    assert [asked for asked in harness.outside.asked if "api" in asked] == ["GET /api/health"]


def test_every_third_answer_of_prefect_is_a_503_and_nothing_is_lost(harness: Harness) -> None:
    incident, _ = holding(harness.store)
    harness.outside.runs["run-1"] = "CRASHED"
    harness.outside.broken.add("api")
    harness.after(11)
    assert harness.attempts(incident) == ["open"]
    harness.outside.broken.clear()
    harness.after(5)
    assert harness.attempts(incident) == ["given_up", "open"]


#: As Prefect's engine writes it into the run's log where a flow cannot be imported.
NOT_LOADED = """\
Unexpected exception encountered when trying to load flow
Traceback (most recent call last):
  File "/opt/paramedic/flows/restart_service.py", line 3, in <module>
    import nothing_like_this
ModuleNotFoundError: No module named 'nothing_like_this', password=hunter2hunter2
"""


def test_a_run_that_died_before_it_began_is_told_with_its_cause(harness: Harness) -> None:
    incident = dispatched(harness.store)
    harness.outside.runs["run-1"] = "CRASHED"
    harness.outside.messages["run-1"] = "Process exited with status code: 1. Process exited with an error."
    harness.outside.errors["run-1"] = [NOT_LOADED, "Process exited with status code: 1."]
    harness.after(31)
    assert harness.attempts(incident) == ["given_up", "open"]
    assert (
        "the run of attempt 1 is CRASHED and never began here: ModuleNotFoundError: No module named 'nothing_like_this', "
        "password=[secret] (Process exited with status code: 1. Process exited with an error); the log of its run in "
        "Prefect has all of it"
    ) in harness.reasons()


def test_a_process_that_was_killed_is_told_by_its_signal(harness: Harness) -> None:
    holding(harness.store)
    harness.outside.runs["run-1"] = "CRASHED"
    harness.outside.messages["run-1"] = "Its process ended by signal SIGKILL before the run had ended."
    harness.after(11)
    assert (
        "the run of attempt 1 lost its claim (Prefect: CRASHED): Its process ended by signal SIGKILL before the run had "
        "ended; what it printed is in the output of its worker"
    ) in harness.reasons()
