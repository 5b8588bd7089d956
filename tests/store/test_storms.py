"""A storm ends with a rest: when a mass failure was over is kept, and nothing is changed for a while after it."""

from typing import Any

from databases import Clock
from store_states import intended, refused, working
from test_checks import MINUTE, NOW, paused, placed, see

from paramedic.remediation.storm import Storm
from paramedic.store import Store, clock_jumps, mass_failure, storms
from paramedic.store.table_facts import declared
from paramedic.store.tables import claims as claim_rows

__all__ = ["see"]


def over_at(store: Store) -> Storm | None:
    with store.read() as tx:
        return storms.last(tx)


def test_when_a_mass_failure_is_over_that_is_kept_and_nothing_acts_for_the_rest(
    timed: Store, clock: Clock, see: Any
) -> None:
    for name in ("a", "b"):
        see(1, 1, placed(name, **NOW), limit=2)
    assert over_at(timed) is None
    see(0, 4, placed("a", **NOW), limit=2)
    assert paused(timed) is None
    storm = over_at(timed)
    assert storm is not None
    assert storm.why == "2 checks are broken at once, and 2 is the limit"
    claim = working(timed)
    no = refused(timed, claim)
    assert no.guardrail == "storm rest"
    assert storm.why in no.reason
    with timed.write() as tx:  # its lease goes on
        tx.conn.execute(claim_rows.update().values(lease_until=storm.over_at + 10 * MINUTE))
    clock.advance(storm.over_at + 5 * MINUTE - clock.now())
    with timed.record() as tx:
        intended(tx, claim)


def test_blindness_alone_is_followed_by_no_rest(timed: Store, see: Any) -> None:
    see(1, 2, placed(**NOW), blind=True)
    assert paused(timed) == mass_failure.BLIND
    see(0, 2, placed(**NOW))
    assert (paused(timed), over_at(timed)) == (None, None)


def test_of_a_mass_failure_that_ends_unseen_the_rest_begins_with_sight(timed: Store, clock: Clock, see: Any) -> None:
    for name in ("a", "b"):
        see(1, 1, placed(name, **NOW), limit=2)
    see(1, 1, placed("a", **NOW), limit=2, blind=True)
    clock.advance(6 * MINUTE)  # by now nothing of before counts
    see(0, 1, placed("a", **NOW), limit=2)
    storm = over_at(timed)
    assert storm is not None
    assert storm.over_at == clock.now()


def test_a_clock_that_is_set_back_makes_the_rest_no_longer(timed: Store, clock: Clock, see: Any) -> None:
    declared()  # it imports every module of the store, which no transaction waits for
    with timed.record() as tx:
        clock_jumps.keep_pace(tx, "boot", clock.steady())
        storms.over(tx, "much was broken")
    clock.jump(-60 * MINUTE)
    with timed.record() as tx:
        clock_jumps.keep_pace(tx, "boot", clock.steady())
    storm = over_at(timed)
    assert storm is not None
    assert storm.over_at == clock.now()
