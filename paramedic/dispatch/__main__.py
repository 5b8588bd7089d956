"""`python -m paramedic.dispatch`: registers the deployments, then works the outbox until SIGTERM."""

import logging
import signal
import threading

from paramedic import library, settings
from paramedic.dispatch.events import Events
from paramedic.dispatch.loop import Dispatch
from paramedic.dispatch.prefect_runs import PrefectRuns
from paramedic.dispatch.registration import register
from paramedic.document import BadDocument
from paramedic.error import TryAgain
from paramedic.secret import hush_logging
from paramedic.settings import ROOT, Settings
from paramedic.store import Store, StoreUnavailable, checks

log = logging.getLogger(__name__)


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

    def deploy() -> None:
        groups = _expected(store, chosen)
        pool, kind = chosen.work_pool, chosen.work_pool_type
        register(ROOT, pool, kind, groups=groups, every=chosen.checks_every, flows=chosen.flows)

    while not stop.is_set():
        try:
            deploy()
            break
        except TryAgain as error:
            log.warning("the deployments wait: %s", error)
            stop.wait(0.5)
    auth = chosen.prefect_api_auth.get_secret_value() if chosen.prefect_api_auth else None
    prefect = PrefectRuns(chosen.prefect_api_url, auth=auth)
    events = Events(Store(chosen.store()), chosen.prefect_api_url, auth=auth)
    threading.Thread(target=events.run, args=(stop,), daemon=True).start()  # runs never wait for events
    Dispatch(store, prefect, deploy).run(stop)


def _expected(store: Store, chosen: Settings) -> list[str]:
    """The groups that are measured from now on, and the store knows what to expect.

    A folder that cannot be read now, or a store that is away, keeps no order from Prefect.
    """
    try:
        shelf = library.load(chosen.runbooks, chosen.flows)
    except BadDocument as error:
        log.error("only the default group is scheduled: %s", error)  # noqa: TRY400 - its words say it
        return ["default"]
    try:
        with store.record() as tx:
            for _, placed in shelf.placed():
                checks.expect(tx, placed)
    except StoreUnavailable as error:
        log.warning("the store does not know yet which checks to expect: %s", error)
    return shelf.groups()


if __name__ == "__main__":
    main()
