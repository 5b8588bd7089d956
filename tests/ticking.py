"""Waiting for what only comes while somebody ticks."""

import time
from collections.abc import Callable


def until_ticked(holds: Callable[[], object], tick: Callable[[], None] = lambda: None, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came"
        tick()
        time.sleep(0.02)
