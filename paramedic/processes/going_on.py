"""The proof of a reload that only its owner's word stands for: what was reloaded goes on for a while."""

import time
from collections.abc import Callable

from paramedic.errors import OutcomeUnknown, TemporaryError
from paramedic.machine.clock import boottime
from paramedic.remediation.target import Identity

#: A process that dies by a signal that it does not handle is gone within milliseconds; one that finds its new configuration
#: wrong, a little later. Seconds.
LOOKED_AT_SECONDS = 1.0

_AGAIN_SECONDS = 0.2


def goes_on(target: str, look: Callable[[], Identity], judge: Callable[[Identity], None], deadline: float) -> Identity:
    """Look at what was reloaded for a second, or until `deadline`, whichever is sooner; the instance that was seen last.

    `judge` raises where the instance is no proof. Raises what it does, PermanentError of the look, and OutcomeUnknown where the
    look has no answer.
    """
    until = min(boottime() + LOOKED_AT_SECONDS, deadline)
    while True:
        try:
            now = look()
        except TemporaryError as error:
            raise OutcomeUnknown(f"{target} was reloaded, and whether it goes on is not known: {error}") from error
        judge(now)
        if boottime() >= until:
            return now
        time.sleep(_AGAIN_SECONDS)
