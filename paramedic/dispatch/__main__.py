"""`python -m paramedic.dispatch`: keeps the deployments registered and works the outbox until SIGTERM."""

import logging
import signal
import threading
from datetime import timedelta

from paramedic.dispatch import metrics
from paramedic.dispatch.deployments import Deployments
from paramedic.dispatch.events import Events
from paramedic.dispatch.loop import Dispatch
from paramedic.dispatch.prefect_runs import PrefectRuns
from paramedic.errors import TemporaryError
from paramedic.machine import liveness
from paramedic.oncall.oncall_reload import OncallIfKnown
from paramedic.serving.exposition import Exposition
from paramedic.settings import load_settings
from paramedic.store import Store, StoreUnavailable, prefect_claim
from paramedic.text.redaction import hush_logging
from paramedic.transports.prefect_http import BACKOFF, PrefectApi, wait_for_prefect
from paramedic.upkeep.attendance import Attendance

log = logging.getLogger(__name__)

#: What an outage waits for has the server first; its events come after.
_EVENTS_REST = timedelta(seconds=1)


def main() -> None:
    """Run until SIGTERM."""
    hush_logging()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = load_settings()
    api = PrefectApi.named(settings)
    if api is None:
        raise SystemExit("prefect_api_url is not set; `paramedic up` starts a Prefect server of its own")
    store = Store(settings.store())
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    attendance = Attendance(store, settings, "dispatch")
    attendance.start()
    pipe = liveness.inherited_pipe()
    exposition = Exposition(settings, "dispatch", [metrics.registry], pipe.silent_seconds)
    exposition.start()
    deployments = Deployments(store, settings)
    wait_for_prefect(api, stop)  # its own client would wait whole seconds
    installation = _claimed(store, api, stop)
    pauses = iter(BACKOFF)
    while not stop.is_set():
        try:
            deployments.register()
            break
        except TemporaryError as error:
            log.warning("the deployments are not registered yet: %s", error)
            stop.wait(next(pauses))
    prefect = PrefectRuns(api)
    events = Events(Store(settings.store()), api, rest=_EVENTS_REST, who=OncallIfKnown(settings))
    for beside in (events, deployments):  # runs never wait for them
        threading.Thread(target=beside.run, args=(stop,), daemon=True).start()
    threading.Thread(target=_renew_claim, args=(Store(settings.store()), installation, stop), daemon=True).start()
    Dispatch(store, prefect, deployments.register, pool=settings.work_pool, beat=pipe.beat).run(stop)
    exposition.stop()
    attendance.stop()


def _claimed(store: Store, api: PrefectApi, stop: threading.Event) -> str:
    """The installation of this Prefect, once the store is its; empty where we are to stop. Waits, in words, until then."""
    with api.client(seconds=5, repeats_503=True) as prefect:
        while not stop.is_set():
            try:
                known = prefect_claim.installation(prefect)
                with store.write() as tx:
                    prefect_claim.claim(tx, known)
            except (prefect_claim.AnotherPrefect, TemporaryError) as error:
                log.warning("dispatch waits for Prefect or the store: %s", error)
                stop.wait(2)
            else:
                return known
    return ""


def _renew_claim(store: Store, installation: str, stop: threading.Event) -> None:
    """Renew the claim on the store. Where another Prefect has it, the process ends; `up` restarts it, and it waits."""
    while not stop.wait(prefect_claim.RENEW.total_seconds()):
        try:
            with store.write() as tx:
                prefect_claim.claim(tx, installation)
        except prefect_claim.AnotherPrefect as error:
            log.error("%s", error)  # noqa: TRY400 - its words say it
            stop.set()
        except StoreUnavailable as error:
            log.warning("the store's claim is renewed in %s: %s", prefect_claim.RENEW, error)


if __name__ == "__main__":
    main()
