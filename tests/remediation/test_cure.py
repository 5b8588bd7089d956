"""Did the cure hold? Each thing that a later look may find has one verdict, in words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from paramedic.remediation.cure import PATIENCE, CureLook, Held, Seen, judge
from paramedic.remediation.health import Health, Sight
from paramedic.remediation.target import Identity

NINE = datetime(2026, 1, 31, 9, tzinfo=UTC)
TEN = NINE + timedelta(hours=1)
BEFORE = Identity("RUNNING", {"pid": 1}, "v7")
AFTER = Identity("RUNNING", {"pid": 2}, "v6")
LOOK = CureLook(
    act=3,
    incident=7,
    target="web-1/shop",
    runbook="shop-down",
    remedy="roll_back",
    after=timedelta(hours=1),
    cured_at=NINE,
    due_at=TEN,
    before=BEFORE,
    identity=AFTER,
)
WELL = Health(Sight.WELL, "every condition holds")
FAILING = Health(Sight.FAILING, "its health address: answered 503")
BLIND = Health(Sight.UNKNOWN, "its systemd does not say how it is")


@pytest.mark.parametrize(
    ("seen", "verdict", "why"),
    [
        (Seen(WELL, AFTER), Held.HELD, "every condition holds"),
        (
            Seen(WELL, replace(AFTER, instance={"pid": 9})),
            Held.HELD,
            "every condition holds; another instance of it runs by now",
        ),
        (Seen(WELL, None), Held.HELD, "every condition holds"),
        (Seen(FAILING, AFTER), Held.LOST, "its health address: answered 503"),
        (Seen(WELL, AFTER, "INC-9"), Held.LOST, "INC-9 is about the same fault"),
        (
            Seen(WELL, BEFORE),
            Held.UNDONE,
            "release v7 is current again, and v6 was after the roll_back; every condition holds",
        ),
        (
            Seen(FAILING, BEFORE, "INC-9"),
            Held.UNDONE,
            "release v7 is current again, and v6 was after the roll_back; its health address: answered 503",
        ),
        (
            Seen(WELL, replace(AFTER, revision="v8")),
            Held.REPLACED,
            "release v8 is current, and v6 was after the roll_back; every condition holds",
        ),
        (Seen(BLIND, None), None, "it cannot be seen: its systemd does not say how it is"),
    ],
)
def test_each_look_has_its_verdict(seen: Seen, verdict: Held | None, why: str) -> None:
    assert judge(LOOK, seen, TEN) == (verdict, why)


def test_what_cannot_be_seen_is_looked_at_again_and_then_nobody_knows() -> None:
    blind = replace(LOOK, blind_since=TEN)
    assert judge(blind, Seen(BLIND, None), TEN + PATIENCE - timedelta(seconds=1))[0] is None
    assert judge(blind, Seen(BLIND, None), TEN + PATIENCE)[0] is Held.UNSEEN


def test_without_the_release_that_was_verified_only_the_health_decides() -> None:
    assert judge(replace(LOOK, identity=None), Seen(WELL, BEFORE), TEN)[0] is Held.HELD
    restarted = replace(
        LOOK, remedy="restart", before=replace(BEFORE, revision=None), identity=replace(AFTER, revision=None)
    )
    assert judge(restarted, Seen(WELL, BEFORE), TEN)[0] is Held.HELD


def test_a_late_look_says_how_late_it_was() -> None:
    """Paramedic was away for two days: the look of an hour after is taken then, and says so."""
    judged = replace(LOOK, verdict=Held.HELD, why="every condition holds", looked_at=NINE + timedelta(hours=49))
    assert judged.words == "49h after the roll_back the cure holds: every condition holds"
    assert LOOK.words == ""
