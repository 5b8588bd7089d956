"""A supervisor that says it restarted, and did not: each rung has failed, the next one is tried, and a person gets it."""

from collections.abc import Callable

from failing_shop import FEW, Shop

from paramedic.incidents.outcome import Ending


def test_a_restart_that_changed_nothing_has_failed_and_the_ladder_goes_on(shop: Callable[..., Shop]) -> None:
    one = shop(errors=FEW, remedies="[restart, rollback]")
    one.lies = True
    outcome = one.play()
    assert outcome.ending is Ending.HANDED_OVER
    assert outcome.because == "no remedy of the ladder is left, still failing"
    assert [(done.remedy, done.result) for done in one.acts()] == [("restart", "failed"), ("roll_back", "failed")]
    process = "pid 100 since 1970-01-01T00:00:01.000000Z, RUNNING"
    same = f"nothing has changed: the same instance runs as before ({process}, revision {{}})"
    assert [entry.reason for entry in one.entries("restart.failed")] == [
        f"web-1/shop answered that it is done, and {same.format('v7')}"
    ]
    [rolled] = one.entries("roll_back.failed")
    assert rolled.reason == f"release v6 is current again, and web-1/shop answered, and {same.format('v6')}"
    assert one.folder.current() == "releases/v6", "the release stands: the trail says it"
