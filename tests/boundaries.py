"""Holds a process of Paramedic at an exact point, so that a test can kill it there. See paramedic/machine/kill_points.py."""

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path


class Boundaries:
    """The folder that PARAMEDIC_BOUNDARIES names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def arm(self, point: str, subject: str = "") -> None:
        """Whoever comes to the point next, about the subject, stands still there."""
        self.clear(point)
        (self.folder / point).write_text(subject)

    def wait(self, point: str, tick: Callable[[], None], *, seconds: float = 60) -> int:
        """Until somebody stands there; who."""
        reached = self.folder / f"{point}.reached"
        until = time.monotonic() + seconds
        while not reached.exists():
            assert time.monotonic() < until, f"nobody came to {point} within {seconds:.0f} s"
            tick()
            time.sleep(0.01)
        pid: int = json.loads(reached.read_text())["pid"]
        return pid

    def release(self, point: str) -> None:
        """Go on."""
        (self.folder / f"{point}.go").touch()

    def clear(self, point: str) -> None:
        """Nobody stops there any more."""
        for left in (point, f"{point}.caught", f"{point}.writing", f"{point}.reached", f"{point}.go"):
            with contextlib.suppress(FileNotFoundError):
                (self.folder / left).unlink()
