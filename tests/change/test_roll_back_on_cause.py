"""A roll-back on cause reads the releases, the incident's alerts and the kept values, and its reasoning is on the trail."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from store_states import TARGET, alert

from paramedic.alerts.alert import Alert
from paramedic.change import cause
from paramedic.change.ladder import suits
from paramedic.checks.check import CheckAtTarget, Sample
from paramedic.doors import reading
from paramedic.errors import PermanentError, Refused, TemporaryError
from paramedic.machine.clock_distance import ClockDistance
from paramedic.machine.open_transaction import must_be_closed
from paramedic.remediation.host import Host
from paramedic.remediation.release import Release
from paramedic.remediation.remedy import Remedy, Verb
from paramedic.remediation.target import Target
from paramedic.store import checks, trail

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)  # as the clock of the tests begins
V6 = Release("v6", None, reversible=True, healthy=True)
ON_CAUSE = Remedy(1, Verb.ROLL_BACK, deployed_within=timedelta(minutes=30))
CHECKED = (
    "when: [{alert: TrackingApiMemory}]",
    "when: [{alert: TrackingApiMemory}, {check: 'tcp://{host}:80', error_rate: {critical: 3%, for: 0s}, every: 15s}]",
)


@dataclass
class Folder:
    """A release folder: v7 is current, and v6 was seen healthy before it."""

    deployed_at: datetime | None = NOW - timedelta(minutes=10)
    older: Release | Exception = V6

    def current(self) -> Release:
        return Release("v7", self.deployed_at, reversible=True, healthy=None)

    def before(self) -> Release:
        if isinstance(self.older, Exception):
            raise self.older
        return self.older


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Folder:
    one = Folder()
    monkeypatch.setattr(reading, "releases", lambda _: one)
    return one


def said(case: Any) -> list[tuple[str, str]]:
    with case.store.read() as tx:
        return [
            (entry.what, entry.reason) for entry in trail.entries(tx) if entry.what in ("cause.found", "rung.skipped")
        ]


def began(at: datetime, **labels: str) -> Alert:
    return alert(starts_at=at, **labels)


@pytest.mark.parametrize(
    ("deployed_at", "why_not"),
    [
        (NOW - timedelta(minutes=30), None),
        (NOW - timedelta(minutes=31), "nothing was deployed so recently: release v7 is 31m old"),
        (NOW - timedelta(minutes=2), "its alert began at 2026-01-31T09:27:00Z, 1m before the deployment"),
        (NOW + timedelta(hours=1), "release v7 was deployed in the future, by its clock"),
        (None, "nobody knows when release v7 was deployed"),
    ],
    ids=["cause", "too old", "it failed before", "in the future", "unknown"],
)
def test_a_release_is_blamed_only_where_it_may_be_the_cause(
    begin: Any, folder: Folder, deployed_at: datetime | None, why_not: str | None
) -> None:
    folder.deployed_at = deployed_at
    case = begin(alerts=[began(NOW - timedelta(minutes=3))])
    assert suits(case.run, ON_CAUSE) is (why_not is None)
    [(what, reason)] = said(case)
    assert what == ("rung.skipped" if why_not else "cause.found")
    assert (why_not or "release v6 before it was seen healthy") in reason


def test_the_trail_has_the_reasoning_with_its_numbers(begin: Any, folder: Folder) -> None:
    case = begin(alerts=[began(NOW - timedelta(minutes=3))], clock_skew="7s")
    assert suits(case.run, ON_CAUSE)
    with case.store.read() as tx:
        [entry] = [
            entry for entry in trail.entries(tx, incident=case.run.incident.number) if entry.what == "cause.found"
        ]
    assert entry.data == {
        "release": "v7",
        "older": "v6",
        "deployed_at": "2026-01-31T09:20:00.000000Z",
        "began_at": "2026-01-31T09:27:00.000000Z",
        "within_seconds": 1800.0,
        "clocks_apart_seconds": 0.0,
        "clock_skew_seconds": 7.0,
        "looks": {},
    }


@pytest.mark.parametrize("why", [Refused("no release is marked healthy"), PermanentError("a bad line")])
def test_without_a_healthy_release_before_it_nothing_is_rolled_back(begin: Any, folder: Folder, why: Exception) -> None:
    folder.older = why
    case = begin(alerts=[began(NOW - timedelta(minutes=3))])
    assert not suits(case.run, ON_CAUSE)
    assert str(why) in said(case)[0][1]


def test_releases_that_cannot_be_read_are_no_cause(begin: Any) -> None:
    case = begin()
    assert not suits(case.run, ON_CAUSE)
    assert said(case) == [("rung.skipped", f"{ON_CAUSE.name}: services.yaml names no `releases` for {TARGET}")]


def test_an_alert_that_joined_and_began_before_the_deployment_is_a_doubt(begin: Any, folder: Folder) -> None:
    older = began(NOW - timedelta(hours=2), disk="full")
    case = begin(alerts=[began(NOW - timedelta(minutes=3)), older])
    assert not suits(case.run, ON_CAUSE)
    assert "the first of its alerts began at 2026-01-31T07:30:00Z" in said(case)[0][1]


@pytest.mark.parametrize(("held_for", "holds"), [("1m", True), ("10m", False), ("as long as I like", True)])
def test_an_alert_may_say_how_long_its_rule_waits(begin: Any, folder: Folder, held_for: str, *, holds: bool) -> None:
    case = begin(alerts=[replace(began(NOW - timedelta(minutes=3)), annotations={"for": held_for})])
    assert suits(case.run, ON_CAUSE) is holds


def _measure(case: Any, *errors: float) -> None:
    """One look each 15 s, the last one now."""
    placed = CheckAtTarget(case.run.runbook.name, case.run.runbook.checks[0], case.run.target)
    case.clock.advance(-len(errors) * timedelta(seconds=15))
    for error in errors:
        case.clock.advance(timedelta(seconds=15))
        with case.store.record() as tx:
            seen = Sample(tx.now, {"latency": 0.1, "error": error}, "as told")
            checks.record(tx, placed, seen, blind=False, mass_limit=99)


@pytest.mark.parametrize(
    ("well", "failing", "holds"), [(20, 39, True), (3, 39, False), (20, 60, False)], ids=["after", "few", "before"]
)
def test_the_kept_values_of_a_check_decide_about_its_alert(
    begin: Any, folder: Folder, well: int, failing: int, *, holds: bool
) -> None:
    """v7 was deployed 40 looks ago. The alert's own start is no proof: it is the first look that anybody took."""
    labels = {"runbook": "tracking-api-memory", "check": "tcp", "metric": "error_rate"}
    raised = replace(began(NOW - timedelta(minutes=5), **labels), source="check")
    case = begin(CHECKED, alerts=[raised])
    _measure(case, *[0.0] * well, *[1.0] * failing)
    assert suits(case.run, ON_CAUSE) is holds, said(case)
    if holds:
        assert "error_rate of tracking-api-memory/tcp was 0% in 20 looks" in said(case)[0][1]


@dataclass
class TheirClock:
    """How far it is from ours, once it is asked for; and how often it was."""

    seconds: float | Exception
    asked: int = 0

    def distance(self, _target: Target, within: timedelta) -> ClockDistance:
        must_be_closed("a clock is read")
        assert within == timedelta(seconds=5)
        self.asked += 1
        if isinstance(self.seconds, Exception):
            raise self.seconds
        return ClockDistance(timedelta(seconds=self.seconds), timedelta(milliseconds=4))


@pytest.fixture
def at_a_distance(monkeypatch: pytest.MonkeyPatch) -> Callable[[float | Exception], TheirClock]:
    def made(seconds: float | Exception) -> TheirClock:
        clock = TheirClock(seconds)
        monkeypatch.setattr(cause, "clock_distance", clock.distance)
        return clock

    return made


@pytest.mark.parametrize("by_values", [False, True], ids=["by its alert", "by the kept values"])
def test_a_host_two_minutes_slow_is_not_rolled_back_for_a_breach_from_before_its_deployment(
    begin: Any, folder: Folder, at_a_distance: Callable[..., TheirClock], *, by_values: bool
) -> None:
    """It was deployed at 9:20 and says 9:18; the breach began at 9:19."""
    folder.deployed_at = NOW - timedelta(minutes=12)
    theirs = at_a_distance(-120)
    labels = {"runbook": "tracking-api-memory", "check": "tcp", "metric": "error_rate"}
    raised = replace(began(NOW - timedelta(minutes=11), **labels), source="check") if by_values else None
    case = begin(CHECKED, alerts=[raised or began(NOW - timedelta(minutes=11))])
    if by_values:
        _measure(case, *[0.0] * 60, *[1.0] * 44)
    assert not suits(case.run, ON_CAUSE)
    [(what, reason)] = said(case)
    assert what == "rung.skipped"
    assert "release v7 was deployed at 2026-01-31T09:20:00Z, 10m ago (its clock is 2m behind ours)" in reason
    assert "the clock that dates it is 2m behind ours, and more than 5s" in reason
    assert theirs.asked == 1


def test_the_numbers_of_the_distance_are_on_the_trail(
    begin: Any, folder: Folder, at_a_distance: Callable[..., TheirClock]
) -> None:
    at_a_distance(-2.5)
    case = begin(alerts=[began(NOW - timedelta(minutes=3))])
    assert suits(case.run, ON_CAUSE)
    with case.store.read() as tx:
        [entry] = [entry for entry in trail.entries(tx) if entry.what == "cause.found"]
    assert entry.data["deployed_at"] == "2026-01-31T09:20:02.500000Z"
    assert (entry.data["clock_distance_seconds"], entry.data["clock_uncertain_seconds"]) == (-2.5, 0.004)
    assert (entry.data["clocks_apart_seconds"], entry.data["clock_skew_seconds"]) == (5.004, 5.004)


@pytest.mark.parametrize("why", [TemporaryError("web-1 did not answer in time"), PermanentError("web-1 has no date")])
def test_a_clock_that_does_not_tell_its_time_rolls_nothing_back(
    begin: Any, folder: Folder, at_a_distance: Callable[..., TheirClock], why: Exception
) -> None:
    at_a_distance(why)
    case = begin(alerts=[began(NOW - timedelta(minutes=3))])
    assert not suits(case.run, ON_CAUSE)
    assert f"how far the clock that dates it is from ours is not known: {why}" in said(case)[0][1]


def test_on_the_machine_of_our_own_there_is_no_distance(begin: Any, folder: Folder) -> None:
    case = begin(alerts=[began(NOW - timedelta(minutes=3))])
    assert cause.clock_distance(case.run.target, timedelta(seconds=5)) is None
    listed = replace(case.run.target, machine=Host("web-1"))
    assert cause.clock_distance(listed, timedelta(seconds=5)) is None


def test_where_nothing_was_deployed_no_clock_is_asked(
    begin: Any, folder: Folder, at_a_distance: Callable[..., TheirClock]
) -> None:
    theirs = at_a_distance(0)
    folder.deployed_at = None
    case = begin(alerts=[began(NOW - timedelta(minutes=3))])
    assert not suits(case.run, ON_CAUSE)
    assert theirs.asked == 0
