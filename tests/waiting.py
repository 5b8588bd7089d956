"""Waits for what comes in another thread or process, and says how long others may."""

import time
from collections.abc import Callable
from typing import Any

from paramedic.machine.clock import boottime


def soon(seconds: float = 30) -> float:
    """A deadline, by the clock that transports take theirs from."""
    return boottime() + seconds


def until(
    what: str, holds: Callable[[], Any], seconds: float = 120, *, tick: Callable[[], object] = lambda: None
) -> Any:
    """What it finds, once it finds something; asked twenty times a second, after each `tick`. Fails after `seconds`."""
    ends = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < ends, f"{what}: not within {seconds:.0f} s"
        tick()
        time.sleep(0.05)
    return found
