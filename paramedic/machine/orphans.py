"""Orphans: a container's first process inherits each process whose parent dies, and has to take the dead ones off the list."""

import contextlib
import os
import time
from collections.abc import Callable, Collection

import psutil

#: So long a dead process is left to whoever in this process has started it and may still ask how it ended.
_LEFT_SECONDS = 10.0

_LOOK_SECONDS = 5.0


class Orphans:
    """The dead that this process has inherited. Use it from one thread."""

    def __init__(self, *, inherits: bool | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """`inherits`: whether this process inherits any; without it, where it is the first one of its namespace."""
        self._inherits = os.getpid() == 1 if inherits is None else inherits
        self._clock = clock
        self._looked_at = clock()
        self._dead_since: dict[int, float] = {}

    def tick(self, ours: Collection[int]) -> None:
        """Take those that have been dead for a while; `ours`: the pids that somebody else here waits for. Call it often."""
        now = self._clock()
        if not self._inherits or now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        dead = {pid for pid in _dead_children() if pid not in ours}
        self._dead_since = {pid: self._dead_since.get(pid, now) for pid in dead}
        for pid, since in self._dead_since.items():
            if now - since >= _LEFT_SECONDS:
                with contextlib.suppress(ChildProcessError):  # somebody has asked after all
                    os.waitpid(pid, os.WNOHANG)


def _dead_children() -> list[int]:
    found = []
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() == psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found
