"""Looks at cures that nobody takes: the record does not wait for ever, and after a start they are left to their rounds."""

from datetime import timedelta
from pathlib import Path

import pytest
from databases import Clock
from store_states import ALIVE, HOUR, intended, working

from paramedic.remediation.cure import Held
from paramedic.settings import Settings
from paramedic.store import Store, acts, cure_looks
from paramedic.watchdog import stuck_work
from paramedic.watchdog.stuck_work import Looks


def test_a_look_that_nobody_takes_ends_as_unseen_but_not_just_after_a_start(
    timed: Store, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = working(timed)
    with timed.record() as tx:
        act = intended(tx, claim)
        acts.close(tx, act, result="cured", why="verified well after it", actor=claim.holder)
        cure_looks.plan(tx, act, ALIVE)
    clock.advance(10 * HOUR)  # Paramedic was down for so long
    monkeypatch.setattr(stuck_work, "boottime", clock.steady)
    watching = Looks(timed, Settings(data=tmp_path))

    def verdicts() -> list[Held | None]:
        with timed.read() as tx:
            return [look.verdict for look in cure_looks.of(tx, act.incident)]

    watching.unlooked()
    clock.advance(2 * HOUR - timedelta(seconds=1))
    watching.unlooked()
    assert verdicts() == [None, None], "its round may still come"
    clock.advance(timedelta(seconds=1))
    watching.unlooked()
    watching.unlooked()
    assert verdicts() == [Held.UNSEEN, None]
    with timed.read() as tx:
        words = cure_looks.of(tx, act.incident)[0].words
    assert words.endswith("nobody looked for 2h: does Prefect plan runs of look-again?")
