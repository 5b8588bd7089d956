"""Roll back on cause: the breach began after the deployment, and the older release was healthy; in doubt, no."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from paramedic.machine.clock_distance import ClockDistance
from paramedic.remediation.cause import AlertStart, Facts, Series, judge
from paramedic.remediation.release import Release
from paramedic.text.quantity import Unit

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)  # v7 is deployed
NOW = NOON + timedelta(minutes=10)
V7 = Release("v7", NOON, reversible=True, healthy=None)
V6 = Release("v6", NOON - timedelta(days=2), reversible=True, healthy=True)
SKEW = timedelta(seconds=5)
EVERY = timedelta(seconds=15)


def facts(**known: object) -> Facts:
    given = Facts(now=NOW, within=timedelta(minutes=30), current=V7, older=V6, skew=SKEW)
    return replace(given, **known)  # type: ignore[arg-type]


def alert(after: timedelta, held_for: timedelta = timedelta()) -> AlertStart:
    return AlertStart(NOON + after, held_for)


def errors(*numbers: float, first: timedelta) -> Series:
    """The error rate at each look; the first is so long after the deployment."""
    begins = NOON + first
    return Series(
        "error_rate of shop-errors/health",
        Unit.PERCENT,
        bound=3.0,
        below=False,
        every=EVERY,
        values=[(begins + at * EVERY, float(number)) for at, number in enumerate(numbers)],
    )


def without(series: Series, missing: range) -> Series:
    return replace(series, values=[value for at, value in enumerate(series.values) if at not in missing])


AFTER_IT = errors(*[0] * 41, *[60] * 10, first=-timedelta(minutes=10) + timedelta(seconds=3))


def test_an_alert_that_began_after_the_deployment_blames_it_with_its_numbers() -> None:
    verdict = judge(facts(alerts=[alert(timedelta(minutes=2))]))
    assert verdict.holds
    assert verdict.words == (
        "release v7 was deployed at 2026-01-31T12:00:00Z, 10m ago; its alert began at 2026-01-31T12:02:00Z, 2m after the "
        "deployment; release v6 before it was seen healthy"
    )
    assert verdict.numbers["began_at"] == "2026-01-31T12:02:00.000000Z"
    assert (verdict.numbers["release"], verdict.numbers["older"]) == ("v7", "v6")
    assert (verdict.numbers["within_seconds"], verdict.numbers["clock_skew_seconds"]) == (1800, 5)


def test_kept_values_that_changed_just_after_it_blame_it_with_both_medians() -> None:
    verdict = judge(facts(series=[AFTER_IT]))
    assert verdict.holds, verdict.words
    assert (
        "error_rate of shop-errors/health was 0% in 41 looks, and 60% in 10 since 2026-01-31T12:00:18Z, 18s after the "
        "deployment"
    ) in verdict.words


@pytest.mark.parametrize(
    ("after", "doubt"),
    [
        (timedelta(minutes=-3), "its alert began at 2026-01-31T11:57:00Z, 3m before the deployment"),
        (timedelta(seconds=-2), "2s before the deployment, and the clocks may differ by 5s"),
        (timedelta(), "at the moment of the deployment, and the clocks may differ by 5s"),
        (timedelta(seconds=5), "5s after the deployment, and the clocks may differ by 5s"),
        (timedelta(seconds=6), None),
    ],
)
def test_clocks_of_two_machines_decide_only_beyond_their_skew(after: timedelta, doubt: str | None) -> None:
    verdict = judge(facts(alerts=[alert(after)]))
    assert verdict.holds is (doubt is None)
    assert doubt is None or doubt in verdict.words


def apart(seconds: float, uncertain: float = 0.0) -> ClockDistance:
    return ClockDistance(timedelta(seconds=seconds), timedelta(seconds=uncertain))


@pytest.mark.parametrize(
    ("distance", "after", "doubt"),
    [
        (apart(0), 6, None),
        (apart(-4), 6, "2s after the deployment, and the clocks may differ by 5s"),
        (apart(-4), 10, None),
        (apart(4), 2, None),
        (apart(4), -1, "3s after the deployment, and the clocks may differ by 5s"),
        (apart(-4, uncertain=2), 10, "6s after the deployment, and the clocks may differ by 7s"),
        (apart(-4, uncertain=2), 12, None),
    ],
)
def test_the_measured_distance_of_the_clock_that_dates_the_release_is_made_up_for(
    distance: ClockDistance, after: float, doubt: str | None
) -> None:
    """`after`: of the alert, by that clock. One that is 4 s behind has dated the release 4 s too early."""
    verdict = judge(facts(alerts=[alert(timedelta(seconds=after))], distance=distance))
    assert verdict.holds is (doubt is None), verdict.words
    assert doubt is None or doubt in verdict.words
    assert verdict.numbers["clock_distance_seconds"] == distance.apart.total_seconds()
    assert verdict.numbers["clock_uncertain_seconds"] == distance.uncertain.total_seconds()


@pytest.mark.parametrize("series", [True, False])
@pytest.mark.parametrize(
    ("distance", "doubt"),
    [
        (
            apart(-120),
            "the clock that dates it is 2m behind ours, and more than 5s (PARAMEDIC_CLOCK_SKEW, and how exactly",
        ),
        (apart(120), "the clock that dates it is 2m ahead of ours, and more than 5s"),
        (apart(-5.2), "the clock that dates it is 5.2s behind ours"),
        (apart(-8.1, uncertain=3), "the clock that dates it is 8.1s behind ours, and more than 8s"),
        (
            "web-7 did not answer in time",
            "how far the clock that dates it is from ours is not known: web-7 did not answer",
        ),
    ],
)
def test_a_clock_too_far_off_or_not_to_be_measured_is_a_doubt_whatever_else_is_seen(
    distance: ClockDistance | str, doubt: str, *, series: bool
) -> None:
    known = {"series": [AFTER_IT]} if series else {"alerts": [alert(timedelta(minutes=5))]}
    assert judge(facts(**known)).holds
    verdict = judge(facts(**known, distance=distance))
    assert not verdict.holds
    assert doubt in verdict.words


def test_a_distance_within_the_margin_and_its_inexactness_is_no_doubt() -> None:
    assert judge(facts(series=[AFTER_IT], distance=apart(-6, uncertain=2))).holds
    verdict = judge(facts(alerts=[alert(timedelta(minutes=2))], distance=apart(-3)))
    assert verdict.words.startswith(
        "release v7 was deployed at 2026-01-31T12:00:03Z, 9m 57s ago (its clock is 3s behind ours); its alert began"
    )
    assert verdict.numbers["deployed_at"] == "2026-01-31T12:00:03.000000Z"


def test_the_time_that_an_alerts_rule_waits_is_taken_off() -> None:
    """An alert with `for: 5m` that fires 3 minutes after a deployment is about something from before it."""
    assert judge(facts(alerts=[alert(timedelta(minutes=3))])).holds
    verdict = judge(facts(alerts=[alert(timedelta(minutes=3), held_for=timedelta(minutes=5))]))
    assert not verdict.holds
    assert "began at 2026-01-31T11:58:00Z, less the 5m that its rule waits, 2m before the deployment" in verdict.words


def test_the_first_of_several_alerts_counts_and_one_from_before_is_a_doubt() -> None:
    verdict = judge(facts(alerts=[alert(timedelta(minutes=4)), alert(timedelta(minutes=-40))]))
    assert not verdict.holds
    assert "the first of its alerts began at 2026-01-31T11:20:00Z, 40m before the deployment" in verdict.words


def test_an_alert_from_before_is_a_doubt_whatever_the_kept_values_show() -> None:
    assert not judge(facts(series=[AFTER_IT], alerts=[alert(timedelta(minutes=-40))])).holds


@pytest.mark.parametrize(
    ("series", "doubt"),
    [
        (
            errors(*[0] * 38, *[60] * 12, first=timedelta(minutes=-10)),
            "became worse at 2026-01-31T11:59:30Z, 30s before the deployment",
        ),
        (
            errors(*[0] * 38, 1, 2, 3, 20, *[60] * 12, first=timedelta(minutes=-10)),
            "became worse at 2026-01-31T11:59:30Z, 30s before the deployment",
        ),
        (
            errors(*[0] * 20, *[60] * 40, first=timedelta(minutes=-10)),
            "had passed its bound in 20 of 40 looks before the deployment",
        ),
        (
            errors(*[0] * 3, *[60] * 10, first=timedelta(seconds=-40)),
            "3 looks at error_rate of shop-errors/health are kept from before the deployment: too few",
        ),
        (errors(*[60] * 10, first=timedelta(seconds=10)), "0 looks at error_rate"),
        (errors(first=timedelta()), "0 looks at error_rate"),
        (
            errors(*[0, 0, 60, 0] * 10, *[60] * 10, first=timedelta(minutes=-10)),
            "had passed its bound in 10 of 40 looks before the deployment",
        ),
        (
            errors(*[0] * 15, *[1.5] * 25, *[60] * 10, first=timedelta(minutes=-10)),
            "was becoming worse before the deployment: it was 0%, and 1.5% from 2026-01-31T11:53:45Z on",
        ),
        (
            errors(*[0] * 40, *[0.1] * 10, first=timedelta(minutes=-10)),
            "50 looks at error_rate of shop-errors/health show",
        ),
        (errors(*[0] * 40, 60, 60, first=timedelta(minutes=-10)), "show no change that could be dated"),
    ],
    ids=[
        "before",
        "a window that fills",
        "long before",
        "few",
        "none before",
        "no values",
        "flapping",
        "on its way",
        "inside its bound",
        "a spike",
    ],
)
def test_kept_values_that_leave_a_doubt_roll_nothing_back(series: Series, doubt: str) -> None:
    verdict = judge(facts(series=[series]))
    assert not verdict.holds
    assert doubt in verdict.words, verdict.words
    assert (
        "release v7 was deployed at 2026-01-31T12:00:00Z, 10m ago, and is not shown to be the cause: " in verdict.words
    )


@pytest.mark.parametrize(("missing", "holds"), [(range(38, 41), True), (range(37, 41), False)], ids=["three", "four"])
def test_a_breach_that_may_have_begun_unseen_before_the_deployment_is_a_doubt(missing: range, *, holds: bool) -> None:
    """Looks come every 15 s, the last of them before the deployment 12 s before it."""
    verdict = judge(facts(series=[without(AFTER_IT, missing)]))
    assert verdict.holds is holds
    assert holds or "for 57s before the deployment nothing was seen of error_rate" in verdict.words


def test_a_service_that_was_silent_while_it_was_deployed_leaves_no_doubt() -> None:
    """Eleven looks after the deployment found no value; the last one before it was good."""
    late = [(at + 10 * EVERY, value) for at, value in AFTER_IT.values[41:]]
    silent = replace(AFTER_IT, values=[*AFTER_IT.values[:40], *late])
    verdict = judge(facts(series=[silent]))
    assert verdict.holds, verdict.words
    assert "since 2026-01-31T12:02:48Z, 2m 48s after the deployment" in verdict.words


def test_a_slow_leak_from_before_the_deployment_is_not_blamed_on_it() -> None:
    """It passes its bound only after the deployment, and had been on its way for half an hour."""
    leak = replace(
        errors(*[100, 101] * 10, *range(102, 222), first=timedelta(minutes=-27)),
        name="memory",
        unit=Unit.COUNT,
        bound=195,
    )
    verdict = judge(facts(series=[leak]))
    assert not verdict.holds
    assert "was becoming worse before the deployment" in verdict.words


def test_the_clocks_of_kept_values_count_as_far_as_they_differ() -> None:
    assert not judge(facts(series=[AFTER_IT], apart=timedelta(seconds=20))).holds
    assert judge(facts(series=[AFTER_IT], apart=timedelta(seconds=17))).holds


@pytest.mark.parametrize(
    ("known", "doubt"),
    [
        ({"current": "the folder is gone"}, "the folder is gone"),
        ({"current": replace(V7, deployed_at=None)}, "nobody knows when release v7 was deployed"),
        ({"current": replace(V7, deployed_at=NOW - timedelta(minutes=31))}, "nothing was deployed so recently"),
        ({"current": replace(V7, deployed_at=NOW + timedelta(minutes=1))}, "deployed in the future, by its clock"),
        ({"current": replace(V7, rolled_back_to=True)}, "a roll-back is never rolled back"),
        ({"older": "no release before v7 is marked healthy"}, "no release before v7 is marked healthy"),
    ],
)
def test_what_is_not_known_of_the_releases_rolls_nothing_back(known: dict[str, object], doubt: str) -> None:
    verdict = judge(facts(alerts=[alert(timedelta(minutes=2))], **known))
    assert not verdict.holds
    assert doubt in verdict.words


def test_where_nothing_tells_when_it_began_nothing_is_rolled_back() -> None:
    verdict = judge(facts())
    assert not verdict.holds
    assert verdict.words.endswith("nothing tells when it began")
