"""`python -m paramedic.watchdog`: runs the watchdog until SIGTERM."""

import logging
import signal
import threading

from prometheus_client import CollectorRegistry

from paramedic.machine import liveness
from paramedic.oncall.oncall_reload import OncallFile
from paramedic.paging import Pager
from paramedic.serving.exposition import Exposition
from paramedic.serving.store_metrics import StoreMetrics
from paramedic.settings import load_settings
from paramedic.store import Store
from paramedic.text.redaction import hush_logging
from paramedic.upkeep.attendance import Attendance
from paramedic.watchdog import metrics
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
    pipe, of_store = liveness.inherited_pipe(), CollectorRegistry()
    of_store.register(StoreMetrics(Store(settings.store())))
    exposition = Exposition(settings, "watchdog", [metrics.registry, of_store], pipe.silent_seconds)
    exposition.start()
    watchdog.beat = pipe.beat
    watchdog.beat()
    while not stop.wait(settings.watchdog_every.total_seconds()):
        watchdog.look()
    exposition.stop()
    attendance.stop()


if __name__ == "__main__":
    main()
