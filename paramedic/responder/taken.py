"""Which runs a responder has: by a lease in the store each, so that no two take one, and a dead responder's are seen."""

import asyncio
import logging
import os
import socket
import time
import uuid
from datetime import timedelta

from paramedic.error import TryAgain, Useless
from paramedic.store import Store, leases
from paramedic.store.leases import RUN

log = logging.getLogger(__name__)

#: A responder that has not renewed for so long is dead to the watchdog, and its runs are Crashed.
LEASE = timedelta(seconds=10)

_RENEW_SECONDS = 3.0


class Taken:
    """The runs of one responder."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._mine: set[str] = set()
        self._renewed_at = 0.0

    async def take(self, flow_run: str) -> bool:
        """Have it. False: another responder has it, or the store does not say: then it waits for the next poll."""
        try:
            taken = await asyncio.to_thread(self._take, flow_run)
        except (TryAgain, Useless) as error:
            log.warning("%s is not taken yet: %s", flow_run, error)
            return False
        if taken:
            self._mine.add(flow_run)
        return taken

    async def give_back(self, flow_run: str) -> None:
        """It is over. Where the store is away its lease runs out, and the watchdog sees that the run is over."""
        self._mine.discard(flow_run)
        try:
            await asyncio.to_thread(self._give_back, flow_run)
        except (TryAgain, Useless) as error:
            log.warning("the lease of %s runs out by itself: %s", flow_run, error)

    async def keep(self) -> None:
        """Renew, where it is time. To be called every second or so."""
        if not self._mine or time.monotonic() - self._renewed_at < _RENEW_SECONDS:
            return
        self._renewed_at = time.monotonic()
        try:
            held = await asyncio.to_thread(self._renew)
        except (TryAgain, Useless) as error:
            log.warning("the leases of %d runs could not be renewed: %s", len(self._mine), error)
            return
        for flow_run in self._mine - held:
            log.warning("the lease of %s was lost: its claim decides whether it may still act", flow_run)
            self._mine.discard(flow_run)

    def _take(self, flow_run: str) -> bool:
        with self._store.write() as tx:
            return leases.take(tx, f"{RUN}{flow_run}", holder=self._holder, lease=LEASE)

    def _give_back(self, flow_run: str) -> None:
        with self._store.write() as tx:
            leases.release(tx, f"{RUN}{flow_run}", holder=self._holder)

    def _renew(self) -> set[str]:
        with self._store.write() as tx:
            return {name.removeprefix(RUN) for name in leases.renew(tx, self._holder, LEASE)}
