"""A cancel ends a step that reads at once, and no step that changes."""

import os
import signal
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
from playbook_runs import not_cancelled

from paramedic.change.run import Cancelled, PlaybookRun
from paramedic.machine.parent_death import STOP_READING


@pytest.fixture
def work() -> Iterator[PlaybookRun]:
    """A run that has just begun, and hears its responder."""
    nothing = cast("Any", None)
    run = PlaybookRun(nothing, nothing, nothing, nothing, nothing, nothing, 1, "run-1", not_cancelled)
    before = signal.signal(STOP_READING, run.stop_reading)
    yield run
    signal.signal(STOP_READING, before)


def _cancelled_meanwhile() -> None:
    os.kill(os.getpid(), STOP_READING)
    time.sleep(60)


def test_a_read_ends_at_once(work: PlaybookRun) -> None:
    began = time.monotonic()
    with pytest.raises(Cancelled), work.reading():
        _cancelled_meanwhile()
    assert time.monotonic() - began < 30
    with pytest.raises(Cancelled), work.reading():
        pytest.fail("a later read begins")


def test_what_is_not_a_read_goes_on_and_the_next_read_does_not_begin(work: PlaybookRun) -> None:
    os.kill(os.getpid(), STOP_READING)
    time.sleep(0.01)  # a change: its deadline ends it
    with pytest.raises(Cancelled), work.reading():
        pytest.fail("a read begins after a cancel")


def test_a_run_that_has_just_begun_asks_nobody_and_later_it_does(work: PlaybookRun) -> None:
    work.ask_cancelled = lambda _: True
    with work.reading():
        pass
    work.began_at -= 1
    with pytest.raises(Cancelled), work.reading():
        pytest.fail("a read begins after a cancel")
