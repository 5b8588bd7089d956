"""Checks that nobody samples are noticed by who samples nothing."""

from datetime import timedelta
from pathlib import Path

import pytest
from databases import Clock
from fake_service import target
from sqlalchemy import select

from paramedic.checks.check import CheckAtTarget, CheckSpec, check_spec
from paramedic.settings import Settings
from paramedic.store import Store, checks
from paramedic.store.tables import messages
from paramedic.watchdog import stuck_work
from paramedic.watchdog.stuck_work import Looks


def subjects(store: Store) -> list[str]:
    with store.read() as tx:
        return list(tx.conn.execute(select(messages.c.subject)).scalars())


def test_checks_that_nobody_takes_are_told_once_and_not_right_after_a_start(
    timed: Store, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady = 1000.0
    monkeypatch.setattr(stuck_work, "boottime", lambda: steady)
    watching = Looks(timed, Settings(data=tmp_path))
    with timed.record() as tx:
        checks.expect(tx, CheckAtTarget("tracking-api-slow", check_spec(CheckSpec)(check="health").build(), target()))
    clock.advance(timedelta(minutes=6))
    watching.untaken_checks()
    assert subjects(timed) == [], "the first round after a start may still come"
    steady += 181
    watching.untaken_checks()
    watching.untaken_checks()
    assert subjects(timed) == ["Checks are not taken"]
