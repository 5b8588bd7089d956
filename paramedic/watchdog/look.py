"""A look of the watchdog's, each time in a thread of its own: what it waits for holds up no other."""

import threading
import time
from collections.abc import Callable

#: Even where a round has no more patience, a look gets so long before the next one begins.
_LEAST_SECONDS = 0.05


class Look:
    """A look that is taken again and again, and never twice at once. `told`: somebody knows that it stands still."""

    def __init__(self) -> None:
        self.told = False
        self._thread: threading.Thread | None = None
        self._began_at = 0.0

    def take(self, one: Callable[[], None], seconds: float) -> float:
        """Take it, and wait for at most so long; how long it was waited for. One that is still out is left alone."""
        if self.stuck_seconds() is not None:
            return 0.0
        self.told = False
        self._began_at = time.monotonic()
        self._thread = threading.Thread(target=one, name="look", daemon=True)
        self._thread.start()
        self._thread.join(max(_LEAST_SECONDS, seconds))
        return time.monotonic() - self._began_at

    def stuck_seconds(self) -> float | None:
        """For how long it has been out; None where it is back."""
        if self._thread is None or not self._thread.is_alive():
            return None
        return time.monotonic() - self._began_at
