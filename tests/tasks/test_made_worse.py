"""A remedy that made it worse is undone where it can be, by a change with an intent of its own, and nothing else is tried."""

from collections.abc import Callable

from failing_shop import FEW, Shop

from paramedic.dispatch.events import called
from paramedic.errors import OutcomeUnknown, Refused, TemporaryError
from paramedic.incidents.outcome import Ending
from paramedic.store import attempts, incidents, kill_switch


def test_a_roll_back_that_made_it_worse_is_undone_and_a_person_gets_it(shop: Callable[..., Shop]) -> None:
    one = shop()
    outcome = one.play()
    assert outcome.ending is Ending.HANDED_OVER
    assert outcome.because == (
        "it is worse than before the change: error_rate of shop-errors/tcp: 10% before, 100% after, which is worse; "
        "what was changed was undone"
    )
    assert (one.folder.current(), one.restarts) == ("releases/v7", ["releases/v6", "releases/v7"])
    assert [(done.remedy, done.result) for done in one.acts()] == [("roll_back", "done"), ("undo", "done")]
    assert [entry.phase for entry in one.entries("undo")] == ["intent"]
    [chosen] = one.entries("undo.chosen")
    assert called(chosen) == "undo.chosen"
    assert chosen.reason.startswith("undo the roll_back: it is worse than before the change: ")
    with one.store.read() as tx:
        assert incidents.get(tx, 1).ending is Ending.HANDED_OVER
        assert attempts.rungs_of(tx, 1) == 2, "its undoing is no rung of the ladder"


def test_each_remedy_keeps_what_was_measured_before_and_after_it(shop: Callable[..., Shop]) -> None:
    one = shop()
    one.play()
    [figure] = one.acts()[0].figures
    assert (figure.name, figure.before, figure.after, figure.worse) == (
        "error_rate of shop-errors/tcp",
        10.0,
        100.0,
        True,
    )
    assert (figure.looks_before, figure.looks_after) == (10, 24)
    [failed] = one.entries("verification.failed")
    assert called(failed) == "verification.failed", "it is no event of an act"
    assert failed.data["of_act"] == one.acts()[0].id
    assert failed.data["figures"] == [figure.as_json()]


def test_what_cannot_be_undone_is_left_and_nothing_else_is_tried(shop: Callable[..., Shop]) -> None:
    one = shop(remedies="[restart, rollback]")
    outcome = one.play()
    assert outcome.ending is Ending.HANDED_OVER
    assert outcome.because.endswith("which is worse")
    assert [done.remedy for done in one.acts()] == ["restart"]
    assert one.folder.current() == "releases/v7"


def test_what_is_no_worse_goes_on_to_the_next_rung(shop: Callable[..., Shop]) -> None:
    one = shop(errors=FEW)
    outcome = one.play()
    assert outcome.because == "no remedy of the ladder is left, still failing"
    assert [done.remedy for done in one.acts()] == ["roll_back", "restart"]
    assert one.folder.current() == "releases/v6"


def test_a_guardrail_may_refuse_to_undo_as_it_may_any_change(shop: Callable[..., Shop]) -> None:
    one = shop()

    def stop() -> None:
        one.meanwhile = lambda: None
        with one.store.record() as tx:
            kill_switch.pause(tx, by="ada", reason="hands off")

    one.meanwhile = stop
    outcome = one.play()
    assert "; it was not undone: undo of web-1/shop: acting is paused: everything, by ada since" in outcome.because
    assert one.folder.current() == "releases/v6"
    assert [done.remedy for done in one.acts()] == ["roll_back"]


def test_an_undoing_of_which_nobody_knows_the_end_says_so_and_blocks_the_target(shop: Callable[..., Shop]) -> None:
    one = shop()

    def unknown() -> None:
        one.cannot = OutcomeUnknown("the connection was cut")

    one.meanwhile = unknown
    assert one.play().because.endswith("; whether it was undone is open")
    assert [(done.remedy, done.result) for done in one.acts()][-1] == ("undo", None)


def test_an_undoing_whose_restart_fails_says_what_stands(shop: Callable[..., Shop]) -> None:
    one = shop()

    def fails() -> None:
        one.cannot = TemporaryError("no answer")

    one.meanwhile = fails
    outcome = one.play()
    assert "it was not undone: release v7 is current again, and the target was not restarted into it" in outcome.because
    assert [(done.remedy, done.result) for done in one.acts()][-1] == ("undo", "failed")


def test_a_remedy_of_its_kind_that_made_it_worse_is_undone_by_its_own_intent(scalable: Callable[..., Shop]) -> None:
    one = scalable()
    outcome = one.play()
    assert outcome.ending is Ending.HANDED_OVER
    assert outcome.because.endswith("which is worse; what was changed was undone")
    assert [(done.remedy, done.result) for done in one.acts()] == [("scale", "done"), ("undo", "done")]
    assert one.restarts == [], "nothing else is tried"
    [chosen] = one.entries("undo.chosen")
    assert chosen.reason.startswith("undo the scale: ")
    assert [entry.reason for entry in one.entries("undo.done")] == ["it is to have 3 pods"]
    assert [alert.name for alert in one.alerts] == ["ShopErrors"], "the incident's, which fires"


def test_a_remedy_of_its_kind_that_somebody_changed_since_is_not_undone(scalable: Callable[..., Shop]) -> None:
    one = scalable()
    one.cannot = Refused("somebody has asked for 6 since")
    assert one.play().because.endswith("it was not undone: somebody has asked for 6 since")
    assert [(done.remedy, done.result) for done in one.acts()] == [("scale", "done"), ("undo", "not_sent")]
