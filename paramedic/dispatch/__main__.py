"""`python -m paramedic.dispatch`: registers the deployments and keeps them so, and works the outbox, until SIGTERM."""

import logging
import signal
import threading
from datetime import timedelta

from paramedic import heart, settings
from paramedic.dispatch.deployments import Deployments
from paramedic.dispatch.events import Events
from paramedic.dispatch.loop import Dispatch
from paramedic.dispatch.prefect_runs import PrefectRuns
from paramedic.error import TryAgain
from paramedic.prefect_api import backoff, wait_for_prefect
from paramedic.prefect_login import credentials
from paramedic.secret import hush_logging
from paramedic.store import Store

log = logging.getLogger(__name__)

#: What an outage waits for has the server first; its events come after.
_EVENTS_REST = timedelta(seconds=1)


def main() -> None:
    """Run until told to stop."""
    hush_logging()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    chosen = settings.load()
    if chosen.prefect_api_url is None:
        raise SystemExit("prefect_api_url is not set; `paramedic up` starts a Prefect server of its own")
    store = Store(chosen.store())
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    deployments = Deployments(store, chosen)
    auth = chosen.prefect_api_auth.get_secret_value() if chosen.prefect_api_auth else None
    wait_for_prefect(chosen.prefect_api_url, credentials(chosen), stop)  # its own client would wait whole seconds
    pauses = backoff()
    while not stop.is_set():
        try:
            deployments.register()
            break
        except TryAgain as error:
            log.warning("the deployments wait: %s", error)
            stop.wait(next(pauses))
    prefect = PrefectRuns(chosen.prefect_api_url, auth=auth)
    events = Events(Store(chosen.store()), chosen.prefect_api_url, auth=auth, rest=_EVENTS_REST)
    for beside in (events, deployments):  # runs never wait for them
        threading.Thread(target=beside.run, args=(stop,), daemon=True).start()
    Dispatch(store, prefect, deployments.register, pool=chosen.work_pool, beat=heart.mine().beat).run(stop)


if __name__ == "__main__":
    main()
