"""The round that removes what is old also reports silences that match nothing."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from databases import Clock

from paramedic.settings import Settings
from paramedic.store import Store, silences
from paramedic.store.silences import IDLE
from tasks.prune import remove_what_is_old


def test_a_silence_that_matches_nothing_is_reported_by_the_daily_round(
    timed: Store, clock: Clock, tmp_path: Path
) -> None:
    with timed.record() as tx:
        silences.add(tx, matchers=["Gone"], ends_at=tx.now + timedelta(days=30), author="ada", reason="r")
    this = cast("Any", SimpleNamespace(store=timed, settings=Settings(data=tmp_path)))
    assert "match nothing" not in remove_what_is_old(this)
    clock.advance(IDLE)
    assert "1 silences match nothing, which is reported" in remove_what_is_old(this)
