"""Which rung of a runbook's ladder is worth a try, and why another is not."""

from typing import Any

from store_states import TARGET, intended

from paramedic.change import exclusive
from paramedic.change.ladder import rungs_left, suits
from paramedic.remediation.remedy import RESTART
from paramedic.store import acts, trail


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
