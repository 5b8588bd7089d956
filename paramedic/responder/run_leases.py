"""Run leases: a responder holds one in the store per run, so that no two take a run, and a dead responder's runs are seen."""

import asyncio
import logging
import os
import socket
import threading
import uuid
from datetime import timedelta

from paramedic.errors import PermanentError, TemporaryError
from paramedic.store import Store, leases
from paramedic.store.leases import RUN

log = logging.getLogger(__name__)

#: The watchdog takes a responder that has not renewed for this long for dead, and its runs are Crashed.
LEASE = timedelta(seconds=10)

_RENEW_SECONDS = 3.0

#: After a renewal that failed: several more tries fit into the lease.
_ASK_AGAIN_SECONDS = 0.5


class RunLeases:
    """The leases of one responder's runs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._lock = threading.Lock()
        self._mine: set[str] = set()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_stopped, name="leases", daemon=True)

    async def take(self, flow_run: str) -> bool:
        """Take the run. False: another responder has it, or the store does not answer; then it waits for the next poll."""
        try:
            taken = await asyncio.to_thread(self._take, flow_run)
        except (TemporaryError, PermanentError) as error:
            log.warning("the lease of run %s could not be taken, and is tried again: %s", flow_run, error)
            return False
        if taken:
            with self._lock:
                self._mine.add(flow_run)
        return taken

    async def release(self, flow_run: str) -> None:
        """Release the run. If the store is away the lease lapses, and the watchdog sees that the run has ended."""
        with self._lock:
            self._mine.discard(flow_run)
        try:
            await asyncio.to_thread(self._release, flow_run)
        except (TemporaryError, PermanentError) as error:
            log.warning("the lease of %s could not be released and will expire: %s", flow_run, error)

    def start(self) -> None:
        """Start renewing in a thread: whatever else this process waits for, its runs are not taken for dead."""
        self._thread.start()

    def stop(self) -> None:
        """Stop renewing: the leases of runs still at work lapse."""
        self._done.set()

    def _renew_until_stopped(self) -> None:
        pause = _RENEW_SECONDS
        while not self._done.wait(pause):
            try:
                self._renew_all()
            except Exception:  # the thread's edge: whatever one try met, the next may succeed before the lease is over
                log.warning("the leases of %d runs could not be renewed", len(self._mine), exc_info=True)
                pause = _ASK_AGAIN_SECONDS
            else:
                pause = _RENEW_SECONDS

    def _renew_all(self) -> None:
        with self._lock:
            mine = set(self._mine)
        if not mine:
            return
        held = self._renew()
        with self._lock:
            lost = (mine - held) & self._mine  # what was given back meanwhile is not lost
            self._mine -= lost
        for flow_run in lost:
            log.warning("the lease of %s was lost: its claim decides whether it may still act", flow_run)

    def _take(self, flow_run: str) -> bool:
        with self._store.write() as tx:
            return leases.take(tx, f"{RUN}{flow_run}", holder=self._holder, lease=LEASE)

    def _release(self, flow_run: str) -> None:
        with self._store.write() as tx:
            leases.release(tx, f"{RUN}{flow_run}", holder=self._holder)

    def _renew(self) -> set[str]:
        with self._store.write() as tx:
            return {name.removeprefix(RUN) for name in leases.renew(tx, self._holder, LEASE)}
