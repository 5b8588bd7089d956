"""The change itself: nothing is sent unless everything agrees; intent before, outcome after, whatever happens between."""

import re
from datetime import timedelta
from typing import Any

import pytest
from change.conftest import AFTER, DEAD, WELL
from store_states import ALIVE, TARGET, asked

from paramedic.change import guarded
from paramedic.change.run import Cancelled
from paramedic.doors import reading
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.remediation.remedy import RESTART
from paramedic.store import StoreUnavailable, acts, approvals

AGREED = ("restart", "every guardrail agrees")


def test_a_change_is_sent_once_after_its_intent_and_its_outcome_is_written(begin: Any) -> None:
    case = begin()
    case.change()
    (act,) = case.touch.sent
    assert act is not None, "the intent is in the store before the first byte"
    assert (act.target, act.identity, act.result) == (TARGET, ALIVE, None)
    (intent,) = case.touch.asked
    assert (intent.target, intent.remedy, intent.identity) == (case.run.target, RESTART, ALIVE)
    assert intent.within == case.settings.act_deadline
    assert not intent.approved
    assert case.events() == [AGREED, ("restart.done", f"{TARGET} answered")]
    assert case.results() == ["done"]


def test_the_outcome_tells_what_the_target_is_now(begin: Any) -> None:
    from paramedic.store import trail

    case = begin()
    case.change()
    with case.store.read() as tx:
        entry = next(entry for entry in trail.entries(tx) if entry.what == "restart.done")
    assert entry.data["identity"] == {
        "pid": AFTER.instance["pid"],
        "started_at": AFTER.instance["started_at"],
        "state": "RUNNING",
    }


def test_a_remedy_that_needs_more_time_than_others_has_it(begin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    case, asked_for = begin(), timedelta(minutes=10)
    monkeypatch.setattr(reading, "time_for", lambda *_, at_least: max(at_least, asked_for))
    case.change()
    (intent,), (act,) = case.touch.asked, case.touch.sent
    assert (intent.within, act.deadline_at - act.written_at) == (asked_for, asked_for)


def _nothing_happened(case: Any) -> None:
    assert case.touch.asked == []
    assert case.events() == []
    assert case.results() == []


def test_a_cancelled_run_changes_nothing(begin: Any) -> None:
    case = begin()
    case.run.ask_cancelled = lambda _: True
    with pytest.raises(Cancelled, match="an operator cancelled the run"):
        case.change()
    _nothing_happened(case)
    with pytest.raises(Cancelled), case.run.reading():
        pytest.fail("it reads on")


def test_where_nobody_says_whether_the_run_was_cancelled_nothing_is_changed(begin: Any) -> None:
    waited: list[timedelta] = []
    case = begin(prefect_timeout="7s")
    case.run.ask_cancelled = waited.append
    with pytest.raises(Refused, match="does not say whether an operator has cancelled"):
        case.change()
    _nothing_happened(case)
    assert waited == [timedelta(seconds=7)]


def test_what_the_run_has_not_claimed_is_not_changed(begin: Any) -> None:
    case = begin()
    with pytest.raises(Refused, match="not claimed by this run"):
        guarded.change(case.run, TARGET, RESTART, name="restart", step=case.touch)
    with pytest.raises(Refused, match="web-2/tracking-api is not claimed by this run"):
        case.change(lambda: guarded.change(case.run, "web-2/tracking-api", RESTART, name="restart", step=case.touch))
    _nothing_happened(case)


@pytest.mark.parametrize(
    ("says", "words"),
    [(WELL, "every condition holds"), (TemporaryError("it does not answer"), "does not say how it is")],
    ids=["well", "cannot be seen"],
)
def test_after_a_wait_only_what_is_seen_failing_is_changed(begin: Any, says: Any, words: str) -> None:
    case = begin()
    case.run.waited = True
    case.owner.says = says
    with pytest.raises(Refused, match=f"after the wait it is no longer seen failing: .*{words}"):
        case.change()
    _nothing_happened(case)


def test_after_a_wait_what_still_fails_is_changed(begin: Any) -> None:
    case = begin()
    case.run.waited = True
    case.owner.says = DEAD
    case.change()
    assert case.results() == ["done"]


def test_without_a_wait_nobody_looks_again(begin: Any) -> None:
    case = begin()
    case.owner.says = WELL  # as a service that leaks is, to its owner
    case.change()
    assert case.results() == ["done"]


@pytest.mark.parametrize("error", [TemporaryError("it is away"), PermanentError("permission denied")])
def test_a_target_whose_instance_cannot_be_told_is_not_changed(begin: Any, error: Exception) -> None:
    case = begin()
    case.owner.says = error
    with pytest.raises(type(error), match=str(error)):
        case.change()
    _nothing_happened(case)


@pytest.mark.parametrize(
    ("status", "words", "by_hand"),
    [
        (422, "an operator's limit on the tag `changes` in Prefect stops every change", "raise or delete the limit"),
        (500, "Prefect does not say whether an operator's limit", "look whether the Prefect server is up"),
        (503, "Prefect does not say whether an operator's limit", "look whether the Prefect server is up"),
        (None, "Prefect does not say whether an operator's limit", "look whether the Prefect server is up"),
    ],
)
def test_no_slot_is_a_refusal_whoever_says_so(status: int | None, words: str, by_hand: str) -> None:
    no = guarded.no_slot(status)
    assert no.reason.startswith(words)
    assert no.by_hand.startswith(by_hand)


def test_where_the_intent_cannot_be_written_nothing_is_sent(begin: Any) -> None:
    case = begin()
    with pytest.raises(StoreUnavailable):
        case.change(lambda: case.unwritable(seconds=1))
    _nothing_happened(case)


# --- the intent is written ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [TemporaryError("connection refused"), Refused("no release before this one"), PermanentError("no such program")],
    ids=lambda error: type(error).__name__,
)
def test_an_error_before_the_first_byte_says_that_nothing_was_sent(begin: Any, error: Exception) -> None:
    def fails() -> None:
        raise error

    case = begin()
    case.touch.before = fails
    with pytest.raises(type(error), match=str(error)):
        case.change()
    assert case.touch.sent == []
    assert case.results() == ["not_sent"]
    assert [what for what, _ in case.events()] == ["restart", "restart.not_sent"]
    assert str(error) in case.events()[-1][1]


def test_a_change_that_its_owner_takes_no_more_was_not_sent(begin: Any) -> None:
    """The changer's promise of TemporaryError and Refused holds after the last look, too."""
    case = begin()
    case.touch.comes_to = TemporaryError("connection refused")
    with pytest.raises(TemporaryError):
        case.change()
    assert case.events()[-1] == ("restart.not_sent", "nothing was sent: connection refused")
    assert case.results() == ["not_sent"]


def test_what_fails_after_the_first_byte_has_failed_and_may_have_touched_the_target(begin: Any) -> None:
    case = begin()
    case.touch.comes_to = PermanentError("it exited too quickly")
    with pytest.raises(PermanentError, match="it exited too quickly"):
        case.change()
    assert case.events() == [AGREED, ("restart.failed", "it exited too quickly")]
    assert case.results() == ["failed"]


def test_a_change_whose_outcome_is_unknown_returns_and_stays_open(begin: Any) -> None:
    case = begin()
    case.touch.comes_to = OutcomeUnknown("the connection broke after the request")
    case.change()
    assert len(case.touch.sent) == 1
    assert case.events() == [AGREED, ("restart.unknown", "the connection broke after the request")]
    assert case.results() == [None]


def test_another_instance_than_the_judged_one_is_not_touched(begin: Any) -> None:
    case = begin()

    def changed() -> None:
        raise TargetChanged("it is process 4343 by now, and 4242 was meant")

    case.touch.before = changed
    with pytest.raises(TargetChanged):
        case.change()
    assert case.touch.sent == []
    assert case.events() == [
        AGREED,
        ("restart.not_sent", "nothing was sent: it is process 4343 by now, and 4242 was meant"),
    ]
    assert case.results() == ["not_sent"]


def test_a_run_that_slept_past_the_deadline_sends_nothing(begin: Any) -> None:
    case = begin(act_deadline="2s")
    case.touch.before = lambda: case.clock.advance(timedelta(seconds=2))
    with pytest.raises(Refused, match="the act's deadline had passed before its first byte"):
        case.change()
    assert case.touch.sent == []
    assert case.events()[-1] == (
        "restart.not_sent",
        "nothing was sent: the act's deadline had passed before its first byte",
    )


def test_a_run_that_slept_past_half_its_lease_sends_nothing(begin: Any) -> None:
    case = begin(lease="10s", act_deadline="30s")
    case.touch.before = lambda: case.clock.advance(timedelta(seconds=5))
    with pytest.raises(Refused, match="lease was not renewed in time"):
        case.change()
    assert case.touch.sent == []
    assert case.results() == ["not_sent"]


def test_a_moment_before_both_end_it_is_still_sent(begin: Any) -> None:
    case = begin(lease="10s", act_deadline="5s")
    case.touch.before = lambda: case.clock.advance(timedelta(seconds=4.9))
    case.change()
    assert case.results() == ["done"]


def test_an_approved_change_knows_that_it_is(begin: Any) -> None:
    case = begin(("mode: act", "mode: ask"))
    with case.store.record() as tx:
        approvals.decide(tx, asked(tx, case.run.incident.number).id, granted=True, by="ada", how="link")
    case.change()
    assert [intent.approved for intent in case.touch.asked] == [True]


# --- the outcome cannot be written ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("comes_to", "result"),
    [(None, "done"), (TemporaryError("connection refused"), "not_sent")],
    ids=["done", "not sent"],
)
def test_an_outcome_is_written_as_soon_as_the_store_takes_it(
    begin: Any, comes_to: Exception | None, result: str
) -> None:
    case = begin(lease="1h")
    case.touch.before = lambda: case.unwritable(seconds=59)
    case.touch.comes_to = comes_to
    if comes_to is None:
        case.change()
    else:
        with pytest.raises(TemporaryError, match="connection refused"):
            case.change()
    assert case.results() == [result]


def test_an_outcome_that_cannot_be_written_leaves_the_act_open(begin: Any) -> None:
    case = begin(lease="1h")
    case.touch.before = lambda: case.unwritable(seconds=3600)
    began = case.clock.steady()
    with pytest.raises(StoreUnavailable):
        case.change()
    assert 60 <= case.clock.steady() - began <= 61
    assert len(case.touch.sent) == 1
    assert case.events() == [AGREED]
    with case.store.read() as tx:
        open_act = acts.open_on(tx, TARGET)
    assert open_act is not None, "what may have been touched is blocked until a person or a verification settles it"
    assert re.search(r"the restart of web-1/tracking-api by INC-1", open_act.words)
