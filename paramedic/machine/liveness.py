"""Liveness: each process of `paramedic up` regularly writes a byte into a pipe that it inherits.

It is written by the loop that the process lives by, so that one that is stopped, hangs or loops is silent although it runs.
"""

import contextlib
import os
from dataclasses import dataclass

#: The pipe's descriptor, in the environment of a process that is listened to.
VARIABLE = "PARAMEDIC_HEART"


@dataclass(frozen=True, slots=True)
class Heart:
    """The process's end of the pipe."""

    pipe: int | None

    def beat(self) -> None:
        """Show that the loop is running. Never blocks, never raises; does nothing where nobody listens."""
        if self.pipe is not None:
            with contextlib.suppress(OSError):  # full: enough is there to hear; or `up` is gone
                os.write(self.pipe, b".")


def mine() -> Heart:
    """The Heart of this process. The processes that it starts do not inherit it."""
    descriptor = os.environ.pop(VARIABLE, "")
    if not descriptor.isdigit():
        return Heart(None)
    pipe = int(descriptor)
    try:
        os.set_inheritable(pipe, False)
        os.set_blocking(pipe, False)
    except OSError:
        return Heart(None)
    return Heart(pipe)
