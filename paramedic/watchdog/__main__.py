"""`python -m paramedic.watchdog`: runs the watchdog until SIGTERM."""

import logging
import signal
import threading

from paramedic.machine import liveness
from paramedic.oncall.oncall_reload import OncallFile
from paramedic.paging import Pager
from paramedic.settings import load_settings
from paramedic.store import Store
from paramedic.text.redaction import hush_logging
from paramedic.upkeep.attendance import Attendance
from paramedic.watchdog.prefect_status import PrefectStatus
from paramedic.watchdog.watchdog import Watchdog


def main() -> None:
    """Run until SIGTERM. Raises BadSettings, and BadDocument for an oncall.yaml by which nobody could be paged."""
    hush_logging()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings = load_settings()
    store, probe = Store(settings.store()), Store(settings.store())
    pager = Pager(store, settings, OncallFile(settings))
    watchdog = Watchdog(settings, store, probe, pager, PrefectStatus(settings))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    attendance = Attendance(Store(settings.store()), settings, "watchdog")  # a store of its own: the looks close theirs
    attendance.start()
    watchdog.beat = liveness.inherited_pipe().beat
    watchdog.beat()
    while not stop.wait(settings.watchdog_every.total_seconds()):
        watchdog.look()
    attendance.stop()


if __name__ == "__main__":
    main()
