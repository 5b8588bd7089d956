"""A look at a target by its owner that keeps to the check's own time-out, however long its kind or the way there may take."""

import threading
from collections.abc import Callable
from datetime import timedelta

from paramedic.doors import reading
from paramedic.errors import TemporaryError
from paramedic.kinds.probing import Seen
from paramedic.machine.clock import boottime, spoken
from paramedic.remediation.target import Target

_lock = threading.Lock()
_begun: dict[str, "_Look"] = {}  # by target: the look that was begun last


def readiness(target: Target, timeout: timedelta) -> Seen:
    """As `reading.readiness`. Raises TemporaryError also where it is not over within `timeout`.

    There is one look at a target at a time: while one hangs no other is begun, and who asks waits for its end first.
    """
    ends_at = boottime() + timeout.total_seconds()
    while True:
        with _lock:
            earlier = _begun.get(target.id)
            if earlier is None or not earlier.is_alive():
                look = _begun[target.id] = _Look(target)
                look.start()
                break
        earlier.join(max(0.0, ends_at - boottime()))
        if earlier.is_alive():
            raise TemporaryError(f"an earlier look at it has not come back within {spoken(timeout)}")
    look.join(max(0.0, ends_at - boottime()))
    if look.is_alive():
        raise TemporaryError(f"its owner has not answered within {spoken(timeout)}")
    return look.result()


class _Look(threading.Thread):
    """One look; its result is what it returned or raised."""

    result: Callable[[], Seen]

    def __init__(self, target: Target) -> None:
        super().__init__(name=f"ready {target.id}", daemon=True)
        self._target = target

    def run(self) -> None:
        try:
            seen = reading.readiness(self._target)
        except Exception as error:  # noqa: BLE001 - it is raised again, to who asked
            self.result = _raising(error)
        else:
            self.result = lambda: seen


def _raising(error: Exception) -> Callable[[], Seen]:
    def result() -> Seen:
        raise error

    return result
