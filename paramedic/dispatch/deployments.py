"""Keeps the deployments in Prefect registered, with a schedule for each group of checks."""

import logging
import threading

from paramedic.catalog.library import library_in_force
from paramedic.dispatch.registration import amiss, register
from paramedic.errors import TemporaryError
from paramedic.settings import ROOT, Settings
from paramedic.store import Store, StoreUnavailable, checks
from paramedic.text.yaml_document import BadDocument

log = logging.getLogger(__name__)


class Deployments:
    """The deployments: registered at the start, and again when Prefect or the runbooks have changed. Thread-safe."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._known: set[str] = set()  # the groups that the store expects samples of
        self._lock = threading.Lock()

    def register(self) -> dict[str, str]:
        """Register all of them; returns the playbooks that cannot be, with the cause. Raises TemporaryError."""
        with self._lock:
            return self._register(self._groups())

    def mend(self) -> list[str]:
        """Register again the deployments that are missing in Prefect, differ, or have no next round; returns their names.

        Correct ones are not touched. Raises TemporaryError.
        """
        with self._lock:
            groups = self._groups()
            settings = self._settings
            names = amiss(ROOT, groups=groups, every=settings.checks_every, flows=settings.flows)
            if names:
                self._register(groups, only=names)
        return names

    def run(self, stop: threading.Event, *, every_seconds: float = 20.0) -> None:
        """Mend until `stop`."""
        while not stop.wait(every_seconds):
            try:
                for name in self.mend():
                    log.info(
                        "%s was missing or changed in Prefect, or its rounds were not planned: registered again", name
                    )
            except TemporaryError as error:
                log.warning("the deployments could not be checked; tried again in %.0f s: %s", every_seconds, error)
            except Exception:  # the thread's edge: whatever it was, the next look may see better
                log.exception("the deployments could not be checked; tried again in %.0f s", every_seconds)

    def _register(self, groups: list[str], only: list[str] | None = None) -> dict[str, str]:
        settings = self._settings
        pool, kind, every = settings.work_pool, settings.work_pool_type, settings.checks_every
        return register(ROOT, pool, kind, groups=groups, every=every, flows=settings.flows, only=only)

    def _groups(self) -> list[str]:
        """The current groups of checks; expected samples of a new one are recorded in the store.

        An unreadable folder removes no group, and a store that is away keeps none from Prefect.
        """
        try:
            library = library_in_force(self._settings)
        except BadDocument as error:
            log.error("the groups of checks are not updated: %s", error)  # noqa: TRY400 - its words say it
            return sorted(self._known) or ["default"]
        groups = set(library.groups()) | (self._known if library.problems else set())
        new = [placed for group, placed in library.placed() if group not in self._known]
        try:
            if new:
                with self._store.record() as tx:
                    for placed in new:
                        checks.expect(tx, placed)
            self._known = groups
        except StoreUnavailable as error:
            log.warning("the expected checks could not be recorded yet: %s", error)
        return sorted(groups)
