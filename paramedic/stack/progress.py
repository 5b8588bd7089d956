"""The progress of a start: which step is waited for, and why, checked in a thread."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from paramedic.errors import PermanentError, TemporaryError

_AGAIN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the start; `complaint` says within seconds why it is not ready, or None."""

    what: str
    complaint: Callable[[], str | None]


class Progress:
    """Checks the steps in order, in a thread, until each has been ready once."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps
        self._passed = 0
        self._complaint = ""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._go, name="progress", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether every step has been ready."""
        return self._passed == len(self._steps)

    def waits_for(self) -> tuple[str, str] | None:
        """The step that is not ready yet, and why; None where all were."""
        passed = self._passed
        return None if passed == len(self._steps) else (self._steps[passed].what, self._complaint)

    def ready(self) -> list[str]:
        """The steps that have been ready, in their order."""
        return [step.what for step in self._steps[: self._passed]]

    def passed(self, what: str) -> bool:
        """Whether this step has been ready."""
        return any(step.what == what for step in self._steps[: self._passed])

    def close(self) -> None:
        """Stop checking."""
        self._end.set()

    def _go(self) -> None:
        for step in self._steps:
            self._complaint = ""
            while (found := _asked(step)) is not None:
                self._complaint = found
                if self._end.wait(_AGAIN_SECONDS):
                    return
            self._passed += 1


def _asked(step: Step) -> str | None:
    try:
        return step.complaint()
    except (TemporaryError, PermanentError) as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - the thread's edge: whatever it was, it is not ready
        return f"{type(error).__name__}: {error}"
