"""What broke elsewhere in the service since a change is blamed on a change that can be undone, and on no other."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from failing_shop import FEW, Shop

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


def test_where_it_is_well_and_something_else_broke_a_person_decides_and_nothing_is_undone(
    shop: Callable[..., Shop],
) -> None:
    one = shop(errors=FEW)
    one.well = True
    one.breaks("CartErrors", "web-2/cart")
    outcome = one.play()
    assert outcome.ending is Ending.HANDED_OVER
    assert outcome.because == (
        "it is well, and since the change something else broke in shop: CartErrors at web-2/cart (INC-2). "
        "Nothing was undone: a person decides what led to what"
    )
    assert (one.folder.current(), [done.remedy for done in one.acts()]) == ("releases/v6", ["roll_back"])


@pytest.mark.parametrize(
    "broken",
    [
        {"name": "ShopErrors", "target": "web-2/shop", "runbook": "shop-errors"},
        {"name": "ShopSlow", "target": "web-2/shop", "runbook": "shop-errors"},
        {"name": "ShopErrors", "target": "web-2/shop"},
        {"name": "CartErrors", "target": "web-2/cart", "began": timedelta(minutes=-2)},
        {"name": "CartErrors", "target": "web-2/cart", "began": timedelta(seconds=-12)},
    ],
    ids=["the same trouble there", "of the same runbook", "of the same name", "before the change", "nobody can tell"],
)
def test_what_the_change_has_not_broken_is_none_of_its_doing(shop: Callable[..., Shop], broken: dict[str, Any]) -> None:
    one = shop(errors=FEW)
    one.well = True
    one.breaks(**broken)
    assert one.play().ending is Ending.REMEDIATED


def test_a_restart_has_broken_nothing_elsewhere(shop: Callable[..., Shop]) -> None:
    one = shop(errors=FEW, remedies="[restart, rollback]")
    one.well = True
    one.breaks("CartErrors", "web-2/cart")
    assert one.play().ending is Ending.REMEDIATED


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


@pytest.mark.parametrize(
    ("before", "meanwhile"),
    [(["CartErrors"], ["PayErrors"]), ([], ["CartErrors", "PayErrors"])],
    ids=["it was in trouble already", "two kinds"],
)
def test_in_a_service_where_much_breaks_nobody_can_tell_what_broke_what(
    shop: Callable[..., Shop], before: list[str], meanwhile: list[str]
) -> None:
    one = shop(errors=FEW)
    one.well = True
    for name in before:
        one.breaks(name, f"web-2/{name}", runbook=name)
        one.meanwhile()

    def all_break() -> None:
        for name in meanwhile:
            one.breaks(name, f"web-2/{name}", runbook=name)
            one.meanwhile()

    one.meanwhile = all_break
    assert one.play().ending is Ending.REMEDIATED


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
def test_of_two_changes_only_the_last_is_blamed_and_only_where_it_can_be_undone(
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
    ladder = remedies.strip("[]").split(", ")
    assert [done.remedy for done in one.acts()] == [*ladder, *undone]
    assert ("something else broke" in outcome.because) is bool(undone)


def test_a_remedy_that_its_kind_cannot_undo_has_broken_nothing_elsewhere(
    scalable: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisord, "UNDOES", ())
    one = scalable(errors=FEW)
    one.breaks("CartErrors", "web-2/cart")
    assert one.play().because == "no remedy of the ladder is left, still failing"
    assert [done.remedy for done in one.acts()] == ["scale", "restart"]
