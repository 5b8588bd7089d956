"""Whether alerts can be accepted now, by the outcome of the last commits or, without any, of a probe that commits."""

import logging
import threading
import time
from collections.abc import Callable

from paramedic.store import Store, StoreUnavailable, StoreUnknown, write_probe

log = logging.getLogger(__name__)

#: How long a probe's result counts: frequent requests cause no load.
_FRESH_SECONDS = 5.0

#: A commit that was refused so recently counts for more than a probe that found room: what comes in may be larger.
_REFUSED_SECONDS = 60.0

_NO_WRITE = "the store takes no writes"


class Readiness:
    """The gateway's readiness, shared by threads. `alive` says whether triage runs."""

    def __init__(
        self, store: Store, alive: Callable[[], bool], *, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._alive = alive
        self._steady = steady
        self._lock = threading.Lock()
        self._refused_at: float | None = None
        self._began_at = steady()
        self._probed_at: float | None = None
        self._complaint: str | None = None

    def refused(self) -> None:
        """Record a failed commit."""
        self._refused_at = self._steady()

    def taken(self) -> None:
        """Record a successful commit."""
        self._refused_at = None
        self._probed_at, self._complaint = self._steady(), None

    def complaint(self) -> str | None:
        """Why alerts cannot be accepted, in words that may be public; None where they can."""
        now = self._steady()
        if self._refused_at is not None and now - self._refused_at < _REFUSED_SECONDS:
            return _NO_WRITE
        if self._lock.acquire(blocking=False):
            try:
                if self._probed_at is None or now - self._probed_at >= _FRESH_SECONDS:
                    self._began_at = now
                    self._complaint = self._probe()
                    self._probed_at = self._steady()
            finally:
                self._lock.release()
        elif now - self._began_at >= _FRESH_SECONDS:  # somebody else's probe has not come back
            return _NO_WRITE
        if self._complaint is not None:
            return self._complaint
        return None if self._alive() else "triage has stopped"

    def _probe(self) -> str | None:
        try:
            write_probe.write(self._store, "gateway")
        except (StoreUnavailable, StoreUnknown) as error:
            log.warning("not ready: %s", error)  # anyone may ask: the answer names no host or user of the database
            return _NO_WRITE
        return None
