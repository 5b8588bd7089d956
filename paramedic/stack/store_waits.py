"""Waits of `paramedic up` for a store that may not answer, without blocking its loop."""

import logging
import threading
import time

from paramedic.errors import PermanentError, TemporaryError
from paramedic.settings import Settings
from paramedic.store import Store, StoreUnavailable, claims
from paramedic.store.migrations import migrate

log = logging.getLogger(__name__)

#: How soon a store that was away is asked again.
_AGAIN_SECONDS = 2.0

#: How long an answer of the store about who acts counts.
_FRESH_SECONDS = 5.0


class Migration:
    """Migrates the store as soon as it answers. Call `attempt` and `advance` from the main thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.done = False
        self._complaint: str | None = "not asked yet"
        self._error: PermanentError | None = None
        self._thread: threading.Thread | None = None
        self._again_at = 0.0

    def attempt(self) -> None:
        """Try once, synchronously. A store that is away is tried again by `advance`. Raises StoreUnknown."""
        self._try()
        if self._error is not None:
            raise self._error
        self.done = self._complaint is None

    def advance(self) -> bool:
        """Whether the migration has just finished. Does not block. Raises StoreUnknown."""
        if self.done:
            return False
        if self._thread is not None and self._thread.is_alive():
            return False
        if self._error is not None:
            raise self._error
        if self._complaint is None:
            self.done = True
            return True
        if time.monotonic() >= self._again_at:
            self._again_at = time.monotonic() + _AGAIN_SECONDS
            self._thread = threading.Thread(target=self._try, name="migration", daemon=True)
            self._thread.start()
        return False

    def complaint(self) -> str | None:
        """Why it is not finished; None where it is."""
        return None if self.done else self._complaint or "it is being brought to this version's schema"

    def _try(self) -> None:
        try:
            migrate(self._settings.owner(), runtime_role=self._settings.runtime_role())
        except StoreUnavailable as error:
            self._complaint = str(error)
        except PermanentError as error:
            self._error = error
        else:
            self._complaint = None


class Acting:
    """Whether a run holds a target now, asked in a thread; until the store answers, one may."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._thread: threading.Thread | None = None
        self._none_at: float | None = None

    def nothing(self) -> bool:
        """Whether the store has just said that none does. Does not block."""
        if self._none_at is not None and time.monotonic() - self._none_at < _FRESH_SECONDS:
            return True
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._ask, name="acting", daemon=True)
            self._thread.start()
        return False

    def _ask(self) -> None:
        store = Store(self._settings.store())
        try:
            with store.read() as tx:
                held = claims.any_held(tx)
            self._none_at = None if held else time.monotonic()
        except (TemporaryError, PermanentError) as error:
            log.warning("the store cannot say whether a run holds a target: %s", error)
        finally:
            store.close()
