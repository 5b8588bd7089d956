"""Kill points: whoever comes to one is held there, each for its own subject."""

import os
import threading
from pathlib import Path

import pytest
from boundaries import Boundaries

from paramedic.machine.kill_points import kill_point


@pytest.fixture
def boundaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Boundaries:
    monkeypatch.setenv("PARAMEDIC_KILL_POINTS", str(tmp_path))
    return Boundaries(tmp_path)


def _comes(point: str, subject: str) -> threading.Thread:
    thread = threading.Thread(target=kill_point, args=(point, subject), daemon=True)
    thread.start()
    return thread


def _passes(thread: threading.Thread) -> bool:
    thread.join(20)
    return not thread.is_alive()


def test_two_subjects_are_held_at_one_point_and_each_goes_on_by_itself(boundaries: Boundaries) -> None:
    boundaries.arm("claimed", "web-1/a.b")
    boundaries.arm("claimed", "web-2/c")
    first, second = _comes("claimed", "web-1/a.b"), _comes("claimed", "web-2/c")
    assert boundaries.wait("claimed", lambda: None, subject="web-1/a.b") == os.getpid()
    assert boundaries.wait("claimed", lambda: None, subject="web-2/c") == os.getpid()
    boundaries.release("claimed", "web-1/a.b")
    assert _passes(first)
    assert second.is_alive(), "the other was let go too"
    boundaries.release("claimed", "web-2/c")
    assert _passes(second)


def test_who_comes_about_another_subject_or_after_the_first_passes(boundaries: Boundaries) -> None:
    boundaries.arm("claimed", "web-1/a")
    assert _passes(_comes("claimed", "web-2/c"))
    first = _comes("claimed", "web-1/a")
    boundaries.wait("claimed", lambda: None)
    assert _passes(_comes("claimed", "web-1/a"))
    assert first.is_alive()
    boundaries.release("claimed")
    assert _passes(first)


def test_a_point_that_is_armed_for_nobody_in_particular_holds_whoever_comes_first(boundaries: Boundaries) -> None:
    boundaries.arm("claimed")
    first = _comes("claimed", "web-1/a")
    boundaries.wait("claimed", lambda: None)
    assert first.is_alive()
    boundaries.release("claimed")
    assert _passes(first)
