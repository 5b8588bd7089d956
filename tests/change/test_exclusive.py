"""One playbook per target: a claim that another run has is waited for, and what was done before is looked back at."""

from datetime import timedelta
from typing import Any

import pytest
from store_states import ALIVE, TARGET, alert, claimed, intended

from paramedic.change import exclusive
from paramedic.change.exclusive import AlreadyActed, happened
from paramedic.change.run import Cancelled, GivenUp
from paramedic.errors import OutcomeUnknown, Refused, TemporaryError
from paramedic.kinds.process_target import process_identity
from paramedic.store import Store, acts, attempts, claims, lifecycle
from paramedic.store.claims import Claim
from paramedic.store.runbook_versions import Plan


def _another_has_it(store: Store) -> Claim:
    """An incident of another service that the target belongs to as well."""
    with store.record() as tx:
        plan = Plan("other", "b" * 64, "", rungs=1)
        number = lifecycle.open_incident(
            tx, alert("Other"), service="shop", target=TARGET, policy="default", reason="it is new", plan=plan
        ).number
        assert attempts.begin_attempt(tx, number, 1, flow_run="run-2") is None
        return claimed(tx, number, run="run-2")


def test_a_claim_that_another_keeps_is_waited_for_a_lease_and_a_half_and_then_refused(begin: Any) -> None:
    case = begin(lease="4s", renew="1s")
    other = _another_has_it(case.store)
    with case.store.write() as tx:
        assert claims.renew(tx, other, timedelta(hours=1))
    began = case.clock.steady()
    with pytest.raises(Refused, match=r"INC-2 \(attempt 1, run:run-2\) has the claim on web-1/tracking-api"):
        case.change()
    assert 6 <= case.clock.steady() - began <= 7
    assert case.touch.asked == []
    assert case.events() == []


def test_a_claim_that_is_given_back_in_time_is_taken_and_the_target_looked_at_again(begin: Any) -> None:
    case = begin(lease="20s")
    _another_has_it(case.store)  # its lease runs out
    case.owner.says = process_identity(None, None, "EXITED")
    case.change()
    assert case.run.waited
    assert case.results() == ["done"]


def test_a_claim_is_given_back_however_the_change_ends(begin: Any) -> None:
    case = begin()
    case.touch.comes_to = TemporaryError("connection refused")
    with pytest.raises(TemporaryError):
        case.change()
    with case.store.read() as tx:
        held = claims.current(tx, TARGET)
    assert held is not None
    assert not held[1]
    assert case.run.keeper is None


def test_an_attempt_that_was_given_up_claims_nothing(begin: Any) -> None:
    case = begin()
    with case.store.record() as tx:
        assert attempts.raise_attempt(tx, case.run.incident.number, after=1, rungs=1, reason="silent")
    with pytest.raises(GivenUp, match="attempt 2 has INC-1; attempt 1 was given up"):
        case.change()
    with case.store.read() as tx:
        assert claims.current(tx, TARGET) is None


def test_a_cancel_ends_the_wait_for_a_claim(begin: Any) -> None:
    case = begin()
    _another_has_it(case.store)
    case.run.began_at -= 1
    began = case.clock.steady()
    case.run.ask_cancelled = lambda _: case.clock.steady() > began + 1
    with pytest.raises(Cancelled):
        case.change()
    assert case.clock.steady() - began < 2, "not only when the claim is free at last"
    assert case.events() == []


def test_what_may_have_been_done_before_is_not_repeated(begin: Any) -> None:
    case = begin()
    case.touch.comes_to = OutcomeUnknown("the connection broke")
    case.change()
    with pytest.raises(AlreadyActed, match=r"the restart of web-1/tracking-api by INC-1") as before:
        case.change()
    assert before.value.act.result is None
    assert len(case.touch.sent) == 1


def test_what_was_not_sent_is_no_act_of_before_and_its_permission_is_spent(begin: Any) -> None:
    case = begin()
    case.touch.comes_to = TemporaryError("connection refused")
    with pytest.raises(TemporaryError):
        case.change()
    with pytest.raises(Refused, match="the one permission for this change is spent"):
        case.change()
    assert len(case.touch.sent) == 1


def test_another_incident_s_open_act_keeps_the_target_to_itself(begin: Any) -> None:
    case = begin()
    other = _another_has_it(case.store)
    with case.store.record() as tx:
        intended(tx, other)
        claims.release(tx, other)
    with pytest.raises(Refused, match=r"by INC-2 .* has no outcome yet") as no:
        case.change()
    assert no.value.by_hand == "look at the target, then `paramedic incident resolve INC-2`"
    assert case.touch.asked == []


@pytest.mark.parametrize(
    ("now", "took_place"),
    [
        (ALIVE, False),
        (process_identity(5151, ALIVE.instance["started_at"], "RUNNING"), True),
        (process_identity(ALIVE.instance["pid"], 1769850999.0, "RUNNING"), True),
        (process_identity(None, None, "EXITED"), False),
        (TemporaryError("it does not answer"), False),
    ],
    ids=["same", "other process", "pid again", "gone", "silent"],
)
def test_whether_an_open_act_took_place_the_target_shows(begin: Any, now: Any, took_place: bool) -> None:
    case = begin()
    case.touch.comes_to = OutcomeUnknown("the connection broke")
    case.change()
    with case.store.read() as tx:
        (act,) = acts.of(tx, case.run.incident.number)
    case.owner.says = now
    assert happened(case.run, act) is took_place


@pytest.mark.parametrize(("result", "took_place"), [("done", True), ("unknown", True), ("failed", False)])
def test_whether_a_closed_act_took_place_its_outcome_says(begin: Any, result: str, took_place: bool) -> None:
    case = begin()
    with exclusive.claimed(case.run, TARGET), case.store.record() as tx:
        act = intended(tx, case.run.keeper.claim)
        acts.close(tx, act, result=result, why="as the test says", actor="a")
        act = acts.get(tx, act.id)
    assert happened(case.run, act) is took_place
