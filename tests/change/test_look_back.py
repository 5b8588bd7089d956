"""What an earlier attempt did is verified and not repeated; what was verified before it began again is over."""

from datetime import timedelta

import pytest
from databases import Clock
from store_states import HANDED_OVER, TARGET, alert, claimed, intended, working

from paramedic.change.exclusive import AlreadyActed, Before, look_back
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.store import Store, acts, attempts, claims, incidents, lifecycle, retrying


def _before(store: Store, number: int) -> Before:
    with store.read() as tx:
        return Before.of(tx, incidents.get(tx, number), TARGET)


@pytest.mark.parametrize("result", ["done", "cured"])
def test_an_act_of_before_the_cure_keeps_the_next_attempt_from_nothing(timed: Store, clock: Clock, result: str) -> None:
    claim = working(timed, rungs=2)
    with timed.record() as tx:
        acts.close(tx, intended(tx, claim), result=result, why="", actor="a")
    with pytest.raises(AlreadyActed):
        look_back(_before(timed, claim.incident))
    with timed.record() as tx:
        lifecycle.resolve(tx, claim.incident, Outcome(Ending.REMEDIATED, "well"), actor=claim.holder)
    clock.advance(timedelta(minutes=5))
    with timed.record() as tx:
        lifecycle.reopen(tx, claim.incident, alert(starts_at=clock.now()), reason="again")
        assert attempts.begin_attempt(tx, claim.incident, 2, flow_run="run-2") is None
    look_back(_before(timed, claim.incident))


def test_what_was_done_before_a_person_had_it_tried_again_is_that_persons_to_judge(timed: Store) -> None:
    claim = working(timed, rungs=1)
    with timed.record() as tx:
        acts.close(tx, intended(tx, claim), result="done", why="it answered", actor="a")
        claims.release(tx, claim)
        lifecycle.hand_over(tx, claim.incident, HANDED_OVER, actor=claim.holder)
        retrying.retry(tx, claim.incident, by="ada", because="mended")
        assert attempts.begin_attempt(tx, claim.incident, 2, flow_run="run-2") is None
    look_back(_before(timed, claim.incident))
    with timed.record() as tx:
        acts.close(tx, intended(tx, claimed(tx, claim.incident, attempt=2)), result="done", why="", actor="a")
    with pytest.raises(AlreadyActed, match="attempt 2"):
        look_back(_before(timed, claim.incident))
