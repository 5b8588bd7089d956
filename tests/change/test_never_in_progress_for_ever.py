"""A remedy that failed, or whose run died, is in progress no longer than it can be: it is closed, or a person has it."""

from typing import Any

import pytest
from store_states import TARGET, claimed, intended, opened, working

from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TemporaryError
from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.store import Store, acts, attempts, incidents, lifecycle


@pytest.mark.parametrize(
    ("comes_to", "result"),
    [
        (PermanentError("it did not start"), "failed"),
        (TemporaryError("its owner was busy"), "not_sent"),
        (Refused("another instance"), "not_sent"),
    ],
)
def test_a_remedy_that_failed_is_closed_at_once_and_its_target_is_free_for_the_next(
    begin: Any, timed: Store, comes_to: Exception, result: str
) -> None:
    case = begin()
    case.touch.comes_to = comes_to
    with pytest.raises(type(comes_to)):
        case.change()
    assert case.results() == [result]
    with timed.record() as tx:
        assert acts.open_on(tx, TARGET) is None
        lifecycle.resolve(tx, case.run.incident.number, Outcome(Ending.HANDED_OVER, "mended"), actor="person:ada")
        number = opened(tx)
        assert attempts.begin_attempt(tx, number, 1, flow_run="run-9") is None
        intended(tx, claimed(tx, number, run="run-9"))


def test_one_whose_outcome_nobody_saw_is_ended_by_the_person_s_word_and_not_before(begin: Any, timed: Store) -> None:
    case = begin()
    case.touch.comes_to = OutcomeUnknown("the connection was cut")
    case.change()
    assert case.results() == [None]
    with timed.record() as tx:
        lifecycle.hand_over(tx, case.run.incident.number, Outcome(Ending.HANDED_OVER, "open"), actor="run")
        lifecycle.resolve(tx, case.run.incident.number, Outcome(Ending.HANDED_OVER, "looked"), actor="person:ada")
    assert case.results() == ["decided"]
    with timed.read() as tx:
        assert acts.open_on(tx, TARGET) is None


def test_a_failed_one_takes_no_place_of_at_once_after_its_incident_has_ended(timed: Store) -> None:
    claim = working(timed)
    with timed.record() as tx:
        acts.close(tx, intended(tx, claim), result="failed", why="no", actor=claim.holder)
        lifecycle.hand_over(tx, claim.incident, Outcome(Ending.HANDED_OVER, "no"), actor=claim.holder)
        assert incidents.get(tx, claim.incident).state is State.HANDED_OVER
        lifecycle.resolve(tx, claim.incident, Outcome(Ending.HANDED_OVER, "mended"), actor="person:ada")
        assert [act.result for act in acts.of(tx, claim.incident)] == ["failed"]
