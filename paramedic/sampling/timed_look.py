"""A look at a target that keeps to the check's own time-out, however long its kind, its disk or the way there may take."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from paramedic.errors import TemporaryError
from paramedic.machine.clock import boottime, spoken
from paramedic.remediation.target import Target

What = TypeVar("What")

_lock = threading.Lock()
_begun: dict[tuple[str, str], "_Look"] = {}  # by what is looked at and whose: the look that was begun last


def within(timeout: timedelta, kind: str, look: Callable[[Target], What], target: Target) -> What:
    """What `look` sees of the target. Raises what it raises, and TemporaryError where it is not over within `timeout`.

    There is one look of a kind at a target at a time: while one hangs no other is begun, and who asks waits for its end first.
    """
    ends_at = boottime() + timeout.total_seconds()
    while True:
        with _lock:
            earlier = _begun.get((kind, target.id))
            if earlier is None or not earlier.is_alive():
                begun = _begun[kind, target.id] = _Look(kind, look, target)
                begun.start()
                break
        earlier.join(max(0.0, ends_at - boottime()))
        if earlier.is_alive():
            raise TemporaryError(f"an earlier look at it has not come back within {spoken(timeout)}")
    begun.join(max(0.0, ends_at - boottime()))
    if begun.is_alive():
        raise TemporaryError(f"no answer within {spoken(timeout)}")
    seen: What = begun.result()
    return seen


class _Look(threading.Thread):
    """One look; its result is what it returned or raised."""

    result: Callable[[], Any]

    def __init__(self, kind: str, look: Callable[[Target], Any], target: Target) -> None:
        super().__init__(name=f"{kind} {target.id}", daemon=True)
        self._look = look
        self._at = target

    def run(self) -> None:
        try:
            seen = self._look(self._at)
        except Exception as error:  # noqa: BLE001 - it is raised again, to who asked
            self.result = _raising(error)
        else:
            self.result = lambda: seen


def _raising(error: Exception) -> Callable[[], Any]:
    def result() -> Any:
        raise error

    return result
