"""Liveness: each process of `paramedic up` regularly writes a byte into a pipe that it inherits.

The process's main loop writes it, so that a process that is stopped, hangs or loops is silent although it runs.
"""

import contextlib
import logging
import os
import time
from dataclasses import dataclass

from paramedic.machine.clock import boottime

log = logging.getLogger(__name__)

_EVERY_SECONDS = 1.0

#: From then on what waited here may have been given up elsewhere.
_STILL_SECONDS = 2.0

#: The pipe's descriptor, in the environment of a supervised process.
VARIABLE = "PARAMEDIC_LIVENESS_PIPE"


@dataclass(slots=True)
class LivenessPipe:
    """The process's end of the pipe; `pipe` None where no process reads it."""

    pipe: int | None
    _beaten_at: float | None = None

    def beat(self) -> None:
        """Show that the loop is running. Never blocks, never raises; does nothing without a reader."""
        self._beaten_at = time.monotonic()
        if self.pipe is not None:
            with contextlib.suppress(OSError):  # full: enough is there to read; or `up` is gone
                os.write(self.pipe, b".")

    def silent_seconds(self) -> float | None:
        """How long ago the last beat was; None before the first."""
        return None if self._beaten_at is None else time.monotonic() - self._beaten_at

    async def keep_beating(self) -> None:
        """Beat once a second for as long as the event loop runs; does not return. A loop that stood still is logged."""
        import asyncio  # who calls it has it; every command loads this module for the variable's name

        while True:
            self.beat()
            slept_at = boottime()
            await asyncio.sleep(_EVERY_SECONDS)
            if (still := boottime() - slept_at - _EVERY_SECONDS) > _STILL_SECONDS:
                log.warning("stood still for %.1f s: the whole machine, or this process", still)


def inherited_pipe() -> LivenessPipe:
    """The pipe that this process was started with. The processes that it starts do not inherit it."""
    descriptor = os.environ.pop(VARIABLE, "")
    if not descriptor.isdigit():
        return LivenessPipe(None)
    pipe = int(descriptor)
    try:
        os.set_inheritable(pipe, False)
        os.set_blocking(pipe, False)
    except OSError:
        return LivenessPipe(None)
    return LivenessPipe(pipe)
