"""`python -m paramedic.gateway`: receives alerts and runs intake until SIGTERM."""

import contextlib
import gc
import logging
import os
import signal
import sys
import threading

from paramedic.alerts.flapping import Bounds
from paramedic.catalog.library import library_in_force, services_in_force
from paramedic.gateway import metrics
from paramedic.gateway.app import make_app
from paramedic.gateway.server import server
from paramedic.gateway.tiers import ServiceTiers
from paramedic.intake.intake import Intake, Wake
from paramedic.machine import liveness, ports
from paramedic.settings import Settings, load_settings
from paramedic.store import Store
from paramedic.store.wakeups import DISPATCH, TRIAGE, listen, notify, subscribe
from paramedic.text.redaction import hush_logging
from paramedic.text.yaml_document import BadDocument
from paramedic.upkeep.attendance import Attendance
from paramedic.upkeep.library_watch import LibraryWatch

#: How long a stop waits for triage, after the requests: together less than `paramedic up` gives its children.
_TRIAGE_SECONDS = 1.5


def main() -> None:
    """Run until SIGTERM, then finish the requests under way."""
    hush_logging()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = load_settings()
    store, stop, wake = Store(settings.store()), threading.Event(), Wake()
    intake = Intake(
        store,
        lambda: library_in_force(settings),
        reopen_within=settings.reopen_within,
        flapping=Bounds(settings.flapping_times, settings.flapping_within, settings.flapping_quiet),
        sender_services=settings.sender_services,
        decided=lambda: notify(store, DISPATCH),
        held_back=lambda why, count: metrics.HELD_BACK.labels(why).inc(count),
    )

    def triage() -> None:
        try:
            intake.run(stop, wake)
        finally:
            if not stop.is_set():  # alerts without decisions help nobody: end, and be started again
                os.kill(os.getpid(), signal.SIGTERM)

    worker = threading.Thread(target=triage, name="triage", daemon=True)
    # uvicorn raises the signal again when the last request is answered; Python's own way would end us there.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    worker.start()
    listen(subscribe(store, TRIAGE), lambda payload: wake.set(critical=payload.get("critical") is True), stop)
    tiers = _tiers(settings)
    watch = LibraryWatch(store, settings, seen=lambda library: tiers.learn(library.services))
    threading.Thread(target=watch.run, args=(stop,), name="library", daemon=True).start()
    attendance = Attendance(store, settings, "gateway")
    attendance.start()
    pipe = liveness.inherited_pipe()

    async def beat() -> None:
        pipe.beat()

    try:
        serving = server(make_app(settings, store, wake=wake, alive=worker.is_alive, tiers=tiers), settings)
        serving.config.callback_notify, serving.config.timeout_notify = beat, 1
        gc.freeze()  # what is loaded stays: the garbage collector need not look at it again and again
        serving.run(sockets=ports.listening_sockets(settings.host, settings.port))
        if not serving.started:
            sys.exit(1)
    finally:
        stop.set()
        wake.set(critical=True)
        attendance.stop()
        worker.join(_TRIAGE_SECONDS)


def _tiers(settings: Settings) -> ServiceTiers:
    tiers = ServiceTiers()
    with contextlib.suppress(BadDocument):  # which triage reports
        tiers.learn(services_in_force(settings))
    return tiers


if __name__ == "__main__":
    main()
