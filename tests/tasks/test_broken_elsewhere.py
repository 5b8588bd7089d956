"""What broke elsewhere in the service since a change: it stops, a person gets it, and what may be its doing is undone."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from failing_shop import FEW, Shop

from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.integrations.targets import supervisord
from paramedic.store import incidents, lifecycle


def test_a_roll_back_that_did_not_help_and_broke_something_else_is_undone(shop: Callable[..., Shop]) -> None:
    one = shop(errors=FEW)
    one.breaks("CartErrors", "web-2/cart")
    outcome = one.play()
    assert outcome.ending is Ending.HANDED_OVER
    assert outcome.because == (
        "it is worse than before the change: since the change something else broke in shop: CartErrors at web-2/cart (INC-2); "
        "what was changed was undone"
    )
    assert one.folder.current() == "releases/v7"
    assert [done.remedy for done in one.acts()] == ["roll_back", "undo"]
    [failed] = one.entries("verification.failed")
    assert failed.data["broken_elsewhere"] == ["INC-2"]


def test_a_roll_back_that_helped_and_broke_something_else_is_undone_too(shop: Callable[..., Shop]) -> None:
    one = shop(errors=FEW)
    one.well = True
    one.breaks("CartErrors", "web-2/cart")
    outcome = one.play()
    assert outcome.ending is Ending.HANDED_OVER
    assert outcome.because == (
        "it is well, and since the change something else broke in shop: CartErrors at web-2/cart (INC-2); "
        "what was changed was undone"
    )
    assert one.folder.current() == "releases/v7"
    assert [(done.remedy, done.result) for done in one.acts()] == [("roll_back", "done"), ("undo", "done")]
    [well] = one.entries("verification.well")
    assert well.data["broken_elsewhere"] == ["INC-2"]


@pytest.mark.parametrize(
    "broken",
    [
        {"name": "ShopErrors", "target": "web-2/shop", "runbook": "shop-errors"},
        {"name": "ShopSlow", "target": "web-2/shop", "runbook": "shop-errors"},
        {"name": "ShopErrors", "target": "web-2/shop"},
    ],
    ids=["the same trouble there", "of the same runbook", "of the same name"],
)
def test_the_same_trouble_on_another_target_is_none_of_its_doing_and_is_told(
    shop: Callable[..., Shop], broken: dict[str, Any]
) -> None:
    """A release that is bad in one place is bad in the next; its incident there has a run and a person of its own."""
    one = shop(errors=FEW)
    one.well = True
    one.breaks(**broken)
    outcome = one.play()
    assert outcome.ending is Ending.REMEDIATED
    told = f"; since then the same trouble began: {broken['name']} at web-2/shop (INC-2)"
    assert outcome.because.endswith(told)
    [well] = one.entries("verification.well")
    assert well.data["same_elsewhere"] == ["INC-2"]
    assert well.reason.endswith(told)


def test_the_same_trouble_elsewhere_stops_no_ladder(shop: Callable[..., Shop]) -> None:
    one = shop(errors=FEW)
    one.breaks("ShopErrors", "web-2/shop")
    assert one.play().because == "no remedy of the ladder is left, still failing"
    assert [done.remedy for done in one.acts()] == ["roll_back", "restart"]


def test_the_same_trouble_beside_another_one_is_no_reason_to_keep_the_change(shop: Callable[..., Shop]) -> None:
    one = shop(errors=FEW)
    one.well = True

    def both() -> None:
        one.breaks("ShopErrors", "web-2/shop", runbook="shop-errors")
        one.meanwhile()
        one.breaks("CartErrors", "web-2/cart")
        one.meanwhile()

    one.meanwhile = both
    assert one.play().because == (
        "it is well, and since the change something else broke in shop: CartErrors at web-2/cart (INC-3); "
        "what was changed was undone"
    )


@pytest.mark.parametrize(
    "began",
    [timedelta(minutes=-2), timedelta(seconds=-12)],
    ids=["before the change", "nobody can tell"],
)
@pytest.mark.parametrize("remedies", ["[rollback, restart]", "[restart, rollback]"])
def test_what_did_not_begin_after_the_change_turns_no_cure_into_a_hand_over(
    shop: Callable[..., Shop], began: timedelta, remedies: str
) -> None:
    one = shop(errors=FEW, remedies=remedies)
    one.well = True
    one.breaks("CartErrors", "web-2/cart", began=began)
    assert one.play().ending is Ending.REMEDIATED


def test_an_alert_says_how_long_its_rule_waited_and_that_is_before_the_change(shop: Callable[..., Shop]) -> None:
    one = shop(errors=FEW)
    one.well = True
    one.breaks("CartErrors", "web-2/cart", annotations={"for": "5m"})
    assert one.play().ending is Ending.REMEDIATED


@pytest.mark.parametrize("well", [True, False])
def test_what_broke_elsewhere_after_a_restart_is_handed_over_and_nothing_else_is_tried(
    shop: Callable[..., Shop], *, well: bool
) -> None:
    one = shop(errors=FEW, remedies="[restart, rollback]")
    one.well = well
    one.breaks("CartErrors", "web-2/cart")
    outcome = one.play()
    assert outcome.ending is Ending.HANDED_OVER
    broke = "since the change something else broke in shop: CartErrors at web-2/cart (INC-2)"
    assert outcome.because == (
        f"it is well, and {broke}; nothing was undone: a person decides what led to what"
        if well
        else f"it is worse than before the change: {broke}"
    )
    assert [done.remedy for done in one.acts()] == ["restart"]
    with one.store.read() as tx:
        assert incidents.get(tx, 1).state is State.HANDED_OVER


def test_what_is_worse_itself_is_undone_whatever_broke_elsewhere(shop: Callable[..., Shop]) -> None:
    one = shop()

    def two() -> None:
        for name in ("CartErrors", "PayErrors"):
            one.breaks(name, f"web-2/{name}", runbook=name)
            one.meanwhile()

    one.meanwhile = two
    outcome = one.play()
    assert "which is worse; since the change something else broke in shop: CartErrors at web-2/CartE" in outcome.because
    assert outcome.because.endswith("; what was changed was undone")
    assert [done.remedy for done in one.acts()] == ["roll_back", "undo"]


def test_what_broke_elsewhere_and_is_over_by_the_verdict_is_no_doubt(shop: Callable[..., Shop]) -> None:
    """A restart of one that others need makes them fail for a moment."""
    one = shop(errors=FEW)
    one.well = True
    one.breaks("CartErrors", "web-2/cart")
    broke = one.meanwhile

    def broke_for_a_moment() -> None:
        broke()
        with one.store.record() as tx:
            lifecycle.resolve(tx, 2, Outcome(Ending.RECOVERED, "it is well"), actor="run:run-2")

    one.meanwhile = broke_for_a_moment
    assert one.play().ending is Ending.REMEDIATED


def test_what_its_sender_says_is_over_is_no_doubt_though_its_incident_is_open(shop: Callable[..., Shop]) -> None:
    one = shop(errors=FEW)
    one.well = True
    one.breaks("CartErrors", "web-2/cart", resolved=True)
    assert one.play().ending is Ending.REMEDIATED
    with one.store.read() as tx:
        assert incidents.get(tx, 2).state is not State.RESOLVED


@pytest.mark.parametrize(
    ("before", "meanwhile", "kept"),
    [
        (
            ["CartErrors"],
            ["PayErrors"],
            "the service was in trouble elsewhere before it (CartErrors at web-2/CartErrors (INC-2))",
        ),
        (
            [],
            ["CartErrors", "PayErrors"],
            "several kinds of trouble began, and one change is unlikely to have led to all",
        ),
        (
            [],
            ["CartErrors", "-PayErrors"],
            "what began about when it was made, or nobody knows when, is there too (PayErrors at web-2/PayErrors (INC-3))",
        ),
    ],
    ids=["it was in trouble already", "two kinds", "one that cannot be dated"],
)
def test_where_nobody_can_tell_what_broke_what_it_is_handed_over_and_nothing_is_undone(
    shop: Callable[..., Shop], before: list[str], meanwhile: list[str], kept: str
) -> None:
    """`-`: its alert began about when the change was made."""
    one = shop(errors=FEW)
    one.well = True
    for name in before:
        one.breaks(name, f"web-2/{name}", runbook=name)
        one.meanwhile()

    def all_break() -> None:
        for said in meanwhile:
            name, began = said.strip("-"), timedelta(seconds=-22 if said.startswith("-") else 0)
            one.breaks(name, f"web-2/{name}", runbook=name, began=began)
            one.meanwhile()

    one.meanwhile = all_break
    outcome = one.play()
    assert outcome.ending is Ending.HANDED_OVER
    assert outcome.because.endswith(f"; nothing was undone: {kept}")
    assert [done.remedy for done in one.acts()] == ["roll_back"]


def test_much_that_broke_is_not_named_without_end(shop: Callable[..., Shop]) -> None:
    one = shop(errors=FEW)
    one.well = True

    def all_break() -> None:
        for number in range(8):
            one.breaks("CartErrors", f"web-{number + 2}/cart")
            one.meanwhile()

    one.meanwhile = all_break
    assert "CartErrors at web-6/cart (INC-6), and 3 more; what was changed was undone" in one.play().because


def test_a_scaling_that_did_not_help_and_broke_something_else_is_undone(scalable: Callable[..., Shop]) -> None:
    one = scalable(errors=FEW)
    one.breaks("CartErrors", "web-2/cart")
    outcome = one.play()
    assert outcome.because == (
        "it is worse than before the change: since the change something else broke in shop: CartErrors at web-2/cart (INC-2); "
        "what was changed was undone"
    )
    assert [(done.remedy, done.result) for done in one.acts()] == [("scale", "done"), ("undo", "done")]


@pytest.mark.parametrize(
    ("remedies", "changed", "undone"),
    [("[scale, restart]", "restart", []), ("[restart, scale]", "scale", ["undo"])],
    ids=["the restart came last", "the scaling came last"],
)
def test_of_two_changes_only_the_last_is_blamed_and_undone_only_where_it_can_be(
    scalable: Callable[..., Shop], remedies: str, changed: str, undone: list[str]
) -> None:
    one = scalable(errors=FEW, remedies=remedies)
    one.breaks("CartErrors", "web-2/cart")
    breaks = one.meanwhile

    def once_changed() -> None:
        if [done.remedy for done in one.acts()][-1:] == [changed]:
            breaks()

    one.meanwhile = once_changed
    outcome = one.play()
    with one.store.read() as tx:
        assert incidents.get(tx, 2).target == "web-2/cart", "it did break"
    assert [done.remedy for done in one.acts()] == [*remedies.strip("[]").split(", "), *undone]
    assert "something else broke" in outcome.because
    assert ("what was changed was undone" in outcome.because) is bool(undone)


def test_a_remedy_that_its_kind_cannot_undo_is_not_undone_and_nothing_else_is_tried(
    scalable: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisord, "UNDOES", ())
    one = scalable(errors=FEW)
    one.breaks("CartErrors", "web-2/cart")
    outcome = one.play()
    assert outcome.because.endswith("something else broke in shop: CartErrors at web-2/cart (INC-2)")
    assert [done.remedy for done in one.acts()] == ["scale"]
