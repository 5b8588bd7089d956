"""The state of a step is named for its answer, and what a playbook gets is the answer itself."""

from collections.abc import Callable
from typing import Any

import pytest

from paramedic.change.run import Cancelled, GivenUp
from paramedic.change.seen_log import SeenLog
from paramedic.errors import CannotSee, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.remediation.health import Health, Sight
from paramedic.text.redaction import forget_all, remember
from tasks import run_log
from tasks.answers import Answer, answering, by_ending, done, unwrapped, verb, yes_or_no
from tasks.kinds import _worth_another_try
from tasks.run_log import say


def returns(answer: object) -> Callable[[], Any]:
    def step() -> Any:
        say("seen failing: it answered 503")
        return answer

    return step


def raises(error: Exception) -> Callable[[], Any]:
    def step() -> Any:
        raise error

    return step


VERIFIED = yes_or_no(Answer("Healthy"), Answer("NotHealthy", is_red=True))


@pytest.mark.parametrize(
    ("answer", "naming", "name", "kind"),
    [
        (True, VERIFIED, "Healthy", "COMPLETED"),
        (False, VERIFIED, "NotHealthy", "FAILED"),
        (Outcome(Ending.HANDED_OVER, "x"), by_ending, "HandedOver", "COMPLETED"),
        (Outcome(Ending.REMEDIATED, "x"), by_ending, "Remediated", "COMPLETED"),
        (None, done, "Done", "COMPLETED"),
        ([], done, "Done", "COMPLETED"),
    ],
)
def test_an_answer_names_its_state_and_is_what_the_playbook_gets(
    answer: object, naming: Any, name: str, kind: str
) -> None:
    state = answering(returns(answer), naming)()
    assert (state.name, state.type.value, state.message) == (name, kind, "seen failing: it answered 503")
    assert unwrapped(state) is answer


@pytest.mark.parametrize(
    ("error", "name", "kind"),
    [
        (Refused("two restarts an hour are enough"), "Refused", "FAILED"),
        (TargetChanged("another process"), "TargetChanged", "FAILED"),
        (CannotSee("answered 403"), "CannotSee", "FAILED"),
        (PermanentError("no such program"), "Failed", "FAILED"),
        (Cancelled("by an operator"), "Cancelled", "CANCELLED"),
        (GivenUp("attempt 2 has it"), "GivenUp", "COMPLETED"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_step_raises_names_its_state_and_is_raised_again(error: Exception, name: str, kind: str) -> None:
    state = answering(raises(error), done)()
    assert (state.name, state.type.value, state.message) == (name, kind, str(error))
    with pytest.raises(type(error)) as again:
        unwrapped(state)
    assert again.value is error


@pytest.mark.parametrize("error", [TemporaryError("busy"), ValueError("a bug")], ids=["temporary", "bug"])
def test_what_prefect_may_retry_is_raised_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)):
        answering(raises(error), done)()


def test_a_no_is_not_tried_again() -> None:
    state = answering(raises(Refused("no")), done)()
    assert not _worth_another_try(None, None, state)  # type: ignore[arg-type]


def test_a_step_without_prefect_is_at_hand() -> None:
    step = returns(True)
    assert verb(step, answering(step, VERIFIED)).fn is step  # type: ignore[attr-defined]
    assert verb(step, answering(step, VERIFIED))() is True


def test_a_step_that_said_nothing_has_no_words_of_the_one_before() -> None:
    answering(returns(True), done)()
    assert answering(lambda: None, done)().message is None


def test_a_line_is_one_line_without_secrets() -> None:
    remember("correct-horse")
    try:
        say("seen\nfailing: correct-horse, password=hunter22")
    finally:
        forget_all()
    assert run_log.last_words() == "seen failing: [secret], password=[secret]"


# --- what is seen, by its changes -----------------------------------------------------------------------------------


def lines(*seen: Health) -> list[str]:
    logged: list[str] = []
    log = SeenLog(logged.append)
    for health in seen:
        log.see(health)
    return logged


def failing(why: str) -> Health:
    return Health(Sight.FAILING, why)


def test_each_change_of_what_is_seen_is_a_line_and_no_sample_is() -> None:
    well = Health(Sight.WELL, "every condition holds")
    busy, gone = failing("its health address: answered 503"), failing("its health address: answered 404")
    assert lines(busy, busy, gone, gone, well, well, busy) == [
        "seen failing: its health address: answered 503",
        "seen failing: its health address: answered 404",
        "seen well: every condition holds",
        "seen failing: its health address: answered 503",
    ]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (
            "resident memory 120,000,000 B, and the limit is 100 B",
            "resident memory 120,300,512 B, and the limit is 100 B",
        ),
        ("error_rate is 3.1% (critical above 3%): it hangs", "error_rate is 42% (critical above 3%): it hangs"),
        ("latency_p95 is 1.2 s (critical above 1 s)", "latency_p95 is 800 ms (critical above 1 s)"),
    ],
)
def test_a_measured_quantity_that_moves_is_no_change(first: str, then: str) -> None:
    assert lines(failing(first), failing(then)) == [f"seen failing: {first}"]


def test_what_is_well_and_failing_by_turns_fills_no_log() -> None:
    turns = [failing("answered 503"), Health(Sight.WELL, "every condition holds")] * 500
    logged = lines(*turns)
    assert len(logged) == 41
    assert logged[-1] == "it goes on changing; further changes are not written here"
