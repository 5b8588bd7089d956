"""Attendance: a process shows in the store that it runs, so that another machine's watchdog misses it when it does not."""

import logging
import socket
import threading

from paramedic.errors import PermanentError, TemporaryError
from paramedic.settings import Settings
from paramedic.store import Store, running_processes
from paramedic.store.running_processes import RENEWALS, Running

log = logging.getLogger(__name__)

#: A stop waits so long for the store to hear that the process ends.
_STOP_SECONDS = 1.5


class Attendance:
    """Shows that this process runs, from `start` to `stop`, in a thread of its own. Nothing here blocks or raises."""

    def __init__(self, store: Store, settings: Settings, role: str) -> None:
        """`role`: one of `running_processes.ROLES`. It is missed when the store has not heard of it for `silent_after`."""
        self._store = store
        self._lease = running_processes.lease_of(settings.silent_after)
        self._process = Running(role, f"{socket.gethostname()}:{settings.data}")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="attendance", daemon=True)

    def start(self) -> None:
        """From now on it runs."""
        self._thread.start()

    def stop(self) -> None:
        """It ends, as it should."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._write(ends=False)
            self._stop.wait(self._lease.total_seconds() / RENEWALS)
        self._write(ends=True)

    def _write(self, *, ends: bool) -> None:
        try:
            with self._store.write() as tx:
                if ends:
                    running_processes.withdraw(tx, self._process)
                else:
                    running_processes.show(tx, self._process, lease=self._lease)
        except (TemporaryError, PermanentError) as error:
            log.warning("the store has not heard that this %s %s: %s", self._process.role, _STATE[ends], error)
        except (
            Exception
        ):  # the thread's edge: the next try may go well, and nothing of the process's work depends on it
            log.exception("the store has not heard that this %s %s", self._process.role, _STATE[ends])


_STATE = {False: "runs", True: "ends"}
