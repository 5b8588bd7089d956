"""Keeps a claim alive while its run works: renewed in the background, and trusted only for half its lease."""

import logging
import threading
from datetime import timedelta

from paramedic.machine.clock import boottime
from paramedic.store import Store, StoreUnavailable, claims
from paramedic.store.claims import Claim

log = logging.getLogger(__name__)


class ClaimKeeper:
    """Renews a claim until released. A change checks `sure` just before its first byte."""

    def __init__(self, store: Store, claim: Claim, *, lease: timedelta, every: timedelta, taken_at: float) -> None:
        """`taken_at` is `boottime()` from before the claim was requested: the lease cannot have begun earlier."""
        self.claim = claim
        self._store = store
        self._lease = lease
        self._every = every.total_seconds()
        self._renewed_at = taken_at
        self._lost = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_released, name="claim", daemon=True)

    def start(self) -> None:
        """Begin renewing."""
        self._thread.start()

    def sure(self) -> bool:
        """Whether the claim is certainly ours: not lost, and renewed within half its lease, by a clock that counts suspend."""
        return not self._lost and boottime() - self._renewed_at < self._lease.total_seconds() / 2

    def release(self) -> None:
        """Stop renewing and release the claim. If the store does not answer, the lease lapses instead."""
        self._done.set()
        self._thread.join()
        try:
            with self._store.write() as tx:
                claims.release(tx, self.claim)
        except StoreUnavailable as error:
            log.warning(
                "the claim on %s could not be released, and its lease will expire: %s", self.claim.target, error
            )

    def _renew_until_released(self) -> None:
        while not self._done.wait(self._every):
            asked_at = boottime()
            try:
                with self._store.write() as tx:
                    held = claims.renew(tx, self.claim, self._lease)
            except StoreUnavailable as error:
                log.warning("the claim on %s could not be renewed: %s", self.claim.target, error)
                continue
            if not held:
                self._lost = True
                log.warning("the claim on %s was lost", self.claim.target)
                return
            self._renewed_at = asked_at
