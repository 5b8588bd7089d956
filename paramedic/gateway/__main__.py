"""`python -m paramedic.gateway`: takes alerts in, and gives each its decision, until SIGTERM."""

import logging
import threading

import uvicorn

from paramedic import library, settings
from paramedic.gateway.app import make_app
from paramedic.intake import Intake
from paramedic.secret import hush_logging
from paramedic.store import Store


def main() -> None:
    """Run until told to stop."""
    hush_logging()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    chosen = settings.load()
    store = Store(chosen.store())
    stop, wake = threading.Event(), threading.Event()
    intake = Intake(store, lambda: library.load(chosen.runbooks))
    worker = threading.Thread(target=intake.run, args=(stop, wake), name="triage", daemon=True)
    worker.start()
    app = make_app(chosen, store, wake=wake, alive=worker.is_alive)
    uvicorn.run(app, host=chosen.host, port=chosen.port, log_level="warning", access_log=False)
    stop.set()
    wake.set()
    worker.join(5)


if __name__ == "__main__":
    main()
