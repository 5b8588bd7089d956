"""A look of the watchdog, each time in its own thread, so that one that hangs delays no other."""

import threading
import time
from collections.abc import Callable

#: Even where a round's time is used up, a look gets this long before the next one begins.
_LEAST_SECONDS = 0.05


class Look:
    """A look that is repeated, and never runs twice at once. `is_reported`: a person was paged that it hangs."""

    def __init__(self) -> None:
        self.is_reported = False
        self._thread: threading.Thread | None = None
        self._began_at = 0.0

    def take(self, call: Callable[[], None], seconds: float) -> float:
        """Start the call and wait for at most `seconds`; returns the time waited. One that still runs is left alone."""
        if self.stuck_seconds() is not None:
            return 0.0
        self.is_reported = False
        self._began_at = time.monotonic()
        self._thread = threading.Thread(target=call, name="look", daemon=True)
        self._thread.start()
        self._thread.join(max(_LEAST_SECONDS, seconds))
        return time.monotonic() - self._began_at

    def stuck_seconds(self) -> float | None:
        """How long it has been running; None if it is not."""
        if self._thread is None or not self._thread.is_alive():
            return None
        return time.monotonic() - self._began_at
