"""Holds a process of Paramedic at an exact point, so that a test can kill it there. See paramedic/machine/kill_points.py."""

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from databases import processes

from paramedic.machine.kill_points import armed_file


class Boundaries:
    """The folder that PARAMEDIC_KILL_POINTS names. One point can be armed for several subjects at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._armed: dict[str, str] = {}  # the subject that each point was armed for last

    def arm(self, point: str, subject: str = "") -> None:
        """Whoever comes to the point next, about the subject, stands still there."""
        self._armed[point] = subject
        self.clear(point, subject)
        self._file(point, subject).touch()

    def wait(self, point: str, tick: Callable[[], None], *, subject: str | None = None, seconds: float = 60) -> int:
        """Until somebody stands there; who. Without a subject: the one that the point was armed for last."""
        reached = self._file(point, subject, ".reached")
        until = time.monotonic() + seconds
        while not reached.exists():
            assert time.monotonic() < until, f"nobody came to {point} within {seconds:.0f} s"
            tick()
            time.sleep(0.01)
        pid: int = json.loads(reached.read_text())["pid"]
        return pid

    def release(self, point: str, subject: str | None = None) -> None:
        """Go on."""
        self._file(point, subject, ".go").touch()

    def clear(self, point: str, subject: str | None = None) -> None:
        """Nobody stops there any more."""
        for end in ("", ".caught", ".writing", ".reached", ".go"):
            with contextlib.suppress(FileNotFoundError):
                self._file(point, subject, end).unlink()

    def _file(self, point: str, subject: str | None, end: str = "") -> Path:
        about = self._armed.get(point, "") if subject is None else subject
        return self.folder / f"{armed_file(point, about)}{end}"


def killed_at(point: str, folder: Path, work: Callable[..., object], *arguments: object) -> None:
    """`work` begins in a process of its own, which is killed once it has come to the point."""
    held = Boundaries(folder)
    folder.mkdir()
    held.arm(point)
    child = processes.Process(target=_with_kill_points, args=(folder, work, arguments))
    child.start()
    try:
        held.wait(point, lambda: None)
    finally:
        child.kill()
        child.join()


def _with_kill_points(folder: Path, work: Callable[..., object], arguments: tuple[object, ...]) -> None:
    os.environ["PARAMEDIC_KILL_POINTS"] = str(folder)
    work(*arguments)
