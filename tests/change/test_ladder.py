"""Which rung of a runbook's ladder is worth a try, and why another is not."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from store_states import TARGET, intended

from paramedic.change import exclusive
from paramedic.change.ladder import rungs_left, suits
from paramedic.doors import reading
from paramedic.remediation.remedy import RESTART, Remedy, Verb
from paramedic.store import acts, trail

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)  # as the clock of the tests begins
ON_CAUSE = Remedy(1, Verb.ROLL_BACK, deployed_within=timedelta(minutes=30))


def _skipped(case: Any) -> list[str]:
    with case.store.read() as tx:
        return [entry.reason for entry in trail.entries(tx) if entry.what == "rung.skipped"]


def _spend(case: Any) -> None:
    with exclusive.claimed(case.run, TARGET), case.store.record() as tx:
        acts.close(tx, intended(tx, case.run.keeper.claim), result="done", why="answered", actor="a")


def test_a_rung_that_was_never_tried_suits(begin: Any) -> None:
    case = begin()
    assert suits(case.run, RESTART)
    assert rungs_left(case.run)
    assert _skipped(case) == []


def test_no_rung_is_tried_twice(begin: Any) -> None:
    case = begin()
    _spend(case)
    assert not suits(case.run, RESTART)
    assert not rungs_left(case.run)
    assert _skipped(case) == ["restart: restarted 0s ago, it did not help, and no rung is tried twice"]


@pytest.mark.parametrize(
    ("deployed_at", "why_not"),
    [
        (NOW - timedelta(minutes=30), None),
        (NOW - timedelta(minutes=31), "nothing was deployed so recently: release 7 is 31m old"),
        (NOW + timedelta(seconds=1), None),
        (NOW + timedelta(hours=1), "release 7 was deployed in the future, by its clock"),
        (None, "nobody knows when release 7 was deployed"),
    ],
    ids=["in time", "too old", "within the skew", "in the future", "unknown"],
)
def test_a_roll_back_on_cause_needs_a_release_that_may_be_the_cause(
    begin: Any, monkeypatch: pytest.MonkeyPatch, deployed_at: datetime | None, why_not: str | None
) -> None:
    case = begin(clock_skew="5s")
    release = SimpleNamespace(id="7", deployed_at=deployed_at)
    monkeypatch.setattr(reading, "releases", lambda _: SimpleNamespace(current=lambda: release))
    assert suits(case.run, ON_CAUSE) is (why_not is None)
    assert [why_not in reason for reason in _skipped(case) if why_not] == ([True] if why_not else [])


def test_a_release_that_cannot_be_read_is_no_cause(begin: Any) -> None:
    case = begin()
    assert not suits(case.run, ON_CAUSE)
    assert _skipped(case) == [f"{ON_CAUSE.name}: services.yaml names no `releases` for {TARGET}"]
