"""In a maintenance window nothing acts on the target, whenever it was planned."""

from datetime import timedelta

import pytest
from databases import Clock
from sqlalchemy import select
from store_states import ALIVE, DEADLINE, FREE, TARGET, claimed, intended, look_at_the_trail, opened, recorded

from paramedic.remediation.guardrail import Refusal
from paramedic.store import Store, Tx, attempts, claims, intents, maintenance
from paramedic.store.claims import Claim
from paramedic.store.maintenance import NoSuchWindow
from paramedic.store.tables import trail

MINUTE = timedelta(minutes=1)


def planned(tx: Tx, *, target: str | None = None, begins: int = 0, ends: int = 60, service: str = "tracking") -> int:
    """A window that begins and ends so many minutes from now."""
    return maintenance.add(
        tx,
        service=service,
        target=target,
        starts_at=tx.now + begins * MINUTE,
        ends_at=tx.now + ends * MINUTE,
        by="ada",
        reason="a new disk",
    ).id


def at_work(tx: Tx) -> Claim:
    number = opened(tx)
    assert attempts.begin_attempt(tx, number, 1, flow_run="run-1") is None
    claim = claimed(tx, number)
    assert claims.renew(tx, claim, timedelta(days=2))
    return claim


@pytest.mark.parametrize(
    ("service", "target", "holds"),
    [
        ("tracking", None, True),
        ("tracking", TARGET, True),
        ("tracking", "web-2/tracking-api", False),
        ("shop", None, False),
        ("shop", TARGET, False),
    ],
)
def test_a_window_holds_what_it_is_about(timed: Store, service: str, target: str | None, holds: bool) -> None:
    with timed.record() as tx:
        claim = at_work(tx)
        planned(tx, service=service, target=target)
        judged = intents.intend(tx, claim, rung=1, remedy="restart", identity=ALIVE, deadline=DEADLINE, limits=FREE)
        assert isinstance(judged, Refusal) == holds


def test_the_refusal_says_which_window_until_when_and_how_to_end_it(timed: Store) -> None:
    with timed.record() as tx:
        claim = at_work(tx)
        number = planned(tx, target=TARGET)
        no = intents.intend(tx, claim, rung=1, remedy="restart", identity=ALIVE, deadline=DEADLINE, limits=FREE)
    assert isinstance(no, Refusal)
    assert (no.guardrail, no.reason, no.by_hand) == (
        "maintenance",
        f"{TARGET} is in maintenance until 2026-01-31T10:30:00.000000Z, by ada: a new disk",
        f"`paramedic maintenance end {number}` ends the maintenance",
    )


def test_a_window_planned_ahead_holds_from_its_beginning_to_its_end(timed: Store, clock: Clock) -> None:
    with timed.record() as tx:
        planned(tx, begins=10, ends=20)

    def covered() -> bool:
        with timed.read() as tx:
            return maintenance.covering(tx, service="tracking", target=TARGET) is not None

    assert not covered()
    clock.advance(9 * MINUTE)
    assert not covered()
    clock.advance(MINUTE)
    assert covered()
    clock.advance(9 * MINUTE)
    assert covered()
    clock.advance(MINUTE)
    assert not covered()
    with timed.record() as tx:
        intended(tx, at_work(tx))


def test_of_several_windows_the_one_that_ends_last_is_named(timed: Store) -> None:
    with timed.record() as tx:
        planned(tx, ends=10)
        longest = planned(tx, ends=30, target=TARGET)
        planned(tx, ends=20)
        window = maintenance.covering(tx, service="tracking", target=TARGET)
        assert window is not None
        assert window.id == longest


def test_a_window_that_is_ended_is_over_and_one_that_was_planned_never_begins(timed: Store, clock: Clock) -> None:
    with timed.record() as tx:
        now, later = planned(tx), planned(tx, begins=10)
        clock.advance(MINUTE)
    with timed.record() as tx:
        maintenance.end(tx, now, by="bob", reason="done")
        maintenance.end(tx, now, by="bob", reason="clicked twice")
        maintenance.end(tx, later, by="bob", reason="put off")
        maintenance.end(tx, later, by="bob", reason="clicked twice")
        assert maintenance.covering(tx, service="tracking", target=TARGET) is None
        assert maintenance.listed(tx) == []
        assert [window.id for window in maintenance.listed(tx, past=True)] == [later, now]
        with pytest.raises(NoSuchWindow, match="no maintenance window 99"):
            maintenance.end(tx, 99, by="bob", reason="which?")
    clock.advance(20 * MINUTE)
    with timed.read() as tx:
        assert maintenance.covering(tx, service="tracking", target=TARGET) is None
    assert recorded(timed) == ["maintenance.added", "maintenance.added", "maintenance.ended", "maintenance.ended"]
    with timed.read() as tx:
        assert tx.conn.execute(select(trail.c.actor).order_by(trail.c.seq.desc()).limit(1)).scalar_one() == "person:bob"
    assert look_at_the_trail(timed).verified


@pytest.mark.parametrize(
    ("begins", "ends", "why"),
    [
        (10, 10, "write a later end"),
        (10, 5, "write a later end"),
        (-20, -10, "it would have ended at 2026-01-31T09:20:00.000000Z"),
        (0, 60 * 24 * 32, "is the longest"),
    ],
)
def test_times_that_cannot_be_meant_are_refused_and_nothing_is_written(
    timed: Store, begins: int, ends: int, why: str
) -> None:
    with timed.record() as tx, pytest.raises(ValueError, match=why):
        planned(tx, begins=begins, ends=ends)
    with timed.read() as tx:
        assert maintenance.listed(tx, past=True) == []
    assert recorded(timed) == []


def test_windows_are_filtered_and_paged(timed: Store) -> None:
    with timed.record() as tx:
        numbers = [planned(tx, service=service) for service in ("tracking", "shop", "tracking")]
        assert [window.id for window in maintenance.listed(tx, limit=2)] == [numbers[2], numbers[1]]
        assert [window.id for window in maintenance.listed(tx, before=numbers[1])] == [numbers[0]]
        assert [window.id for window in maintenance.listed(tx, service="shop")] == [numbers[1]]
