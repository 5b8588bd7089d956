"""Behind a tripped breaker: what is well ends, what fails goes to a person; after a reset nothing old is worked off."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from failing_shop import FEW, TARGET, Shop
from playbook_runs import playbook_run
from store_states import claimed, intended, opened

from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.remediation.site_limits import BreakerLimit
from paramedic.store import Store, acts, attempts, breakers, claims, incidents, lifecycle

LIMIT = BreakerLimit(3, timedelta(hours=4))


@pytest.fixture
def behind(timed: Store, shop: Callable[..., Shop]) -> Shop:
    """A shop that three restarts have not helped."""
    for _ in range(LIMIT.count):
        with timed.record() as tx:
            number = opened(tx, target=TARGET)
            assert attempts.begin_attempt(tx, number, 1, flow_run="run-0") is None
            claim = claimed(tx, number, run="run-0")
            acts.close(tx, intended(tx, claim), result="done", why="it answered", actor=claim.holder)
            claims.release(tx, claim)
            lifecycle.resolve(tx, number, Outcome(Ending.HANDED_OVER, "mended"), actor="person:ada")
    one = shop(errors=FEW, remedies="[restart]")
    assert is_tripped(one)
    return one


def is_tripped(one: Shop) -> bool:
    with one.store.read() as tx:
        return [found.unhelpful.target for found in breakers.tripped(tx, LIMIT)] == [TARGET]


def state_of(one: Shop) -> State:
    with one.store.read() as tx:
        return incidents.get(tx, one.run.incident.number).state


def test_a_playbook_that_finds_it_well_ends_it_and_leaves_the_breaker(behind: Shop) -> None:
    behind.is_well = True
    outcome = behind.play()
    assert (outcome.ending, state_of(behind)) == (Ending.RECOVERED, State.RESOLVED)
    assert (behind.acts(), behind.restarts) == ([], [])
    assert is_tripped(behind), "well is no reset"


def test_a_playbook_that_finds_it_failing_is_refused_by_the_breaker(behind: Shop) -> None:
    outcome = behind.play()
    assert (outcome.ending, state_of(behind)) == (Ending.REFUSED, State.HANDED_OVER)
    assert "(breaker)" in outcome.because
    assert (behind.acts(), behind.restarts) == ([], [])


@pytest.mark.parametrize("is_well", [True, False])
def test_after_a_reset_what_waited_is_measured_again_and_acted_on_only_where_it_fails(
    behind: Shop, *, is_well: bool
) -> None:
    assert behind.play().ending is Ending.REFUSED
    number = behind.run.incident.number
    with behind.store.record() as tx:
        [reset] = breakers.reset(tx, LIMIT, target=TARGET, remedy=None, by="ada", because="the disk was full")
        assert reset.waiting == (number,)
        assert attempts.begin_attempt(tx, number, 2, flow_run="run-2") is None
        incident = incidents.get(tx, number)
    assert incident.attempt == 2
    first, behind.is_well = behind.run, is_well
    behind.run = playbook_run(behind.store, first.settings, incident, first.runbook, first.target, attempt=2)
    outcome = behind.play()
    assert outcome.ending is (Ending.RECOVERED if is_well else Ending.HANDED_OVER), outcome.because
    assert [act.result for act in behind.acts()] == ([] if is_well else ["done"])
