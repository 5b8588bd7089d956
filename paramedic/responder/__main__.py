"""`python -m paramedic.responder`: the worker with a SIGTERM that drains. `prefect worker start --type paramedic` works too."""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
from prefect.settings import get_current_settings
from prefect.utilities.services import critical_service_loop
from prometheus_client import CollectorRegistry

from paramedic.catalog.library import library_in_force
from paramedic.machine import liveness
from paramedic.responder.capacity import PLAYBOOKS
from paramedic.responder.metrics import ResponderMetrics
from paramedic.responder.worker import ParamedicWorker
from paramedic.serving.exposition import Exposition
from paramedic.settings import Settings, load_settings
from paramedic.store import Store
from paramedic.text.redaction import hush_logging
from paramedic.transports.prefect_http import BACKOFF, PrefectApi, wait_for_prefect
from paramedic.upkeep.attendance import Attendance

log = logging.getLogger(__name__)

#: How long runs may take to end after SIGTERM.
DRAIN = timedelta(seconds=5)

#: A Prefect that does not answer is polled so seldom in the end.
_LONGEST_PAUSE_SECONDS = 5.0

#: How often the runbooks are looked through for new groups of checks.
_LOOK_SECONDS = 20.0


async def serve() -> None:
    """Take runs until SIGTERM or SIGINT, then take no more and let the ones at work end within DRAIN."""
    settings = load_settings()
    stop = anyio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    attendance = Attendance(Store(settings.store()), settings, "responder")
    attendance.start()
    pipe, registry = liveness.inherited_pipe(), CollectorRegistry()
    beating = asyncio.create_task(pipe.keep_beating())
    exposition = Exposition(settings, "responder", [registry], pipe.silent_seconds)
    exposition.start()
    await _prefect_answers(stop)
    worker = ParamedicWorker(work_pool_name=settings.work_pool, limit=_limit(settings), prefetch_seconds=0)
    registry.register(ResponderMetrics(worker.capacity, lambda: float(worker.limiter.available_tokens), worker.warm))
    poll = get_current_settings().worker.query_seconds
    async with worker:
        await _prefect_knows(worker, stop)
        async with anyio.create_task_group() as loops:

            async def keep(workload: Callable[..., Coroutine[Any, Any, Any]], interval: float) -> None:
                await critical_service_loop(
                    partial(_tolerant, workload), interval, jitter_range=0.3, backoff=2, memory=1000, consecutive=1000
                )

            loops.start_soon(_poll, worker, poll)
            loops.start_soon(keep, worker.sync_with_backend, worker.heartbeat_interval_seconds)
            loops.start_soon(keep, partial(make_room, worker, settings), _LOOK_SECONDS)
            await stop.wait()
            worker.take_no_more()
            loops.cancel_scope.cancel()
        with anyio.move_on_after(DRAIN.total_seconds()):
            await worker.capacity.cancel_rounds(worker.client)
            while worker.limiter.borrowed_tokens:  # noqa: ASYNC110 - a limiter has no event
                await anyio.sleep(0.1)
        beating.cancel()
        exposition.stop()
        attendance.stop()
        if worker.limiter.borrowed_tokens:
            raise SystemExit(0)  # what is left dies with this process; its claims lapse, and the watchdog hands it on


async def _poll(worker: ParamedicWorker, seconds: float) -> None:
    """Poll Prefect, sooner on a wake-up."""
    failed = 0
    while True:
        try:
            await worker.get_and_submit_flow_runs()
        except Exception:  # Prefect's edge: a poll that fails keeps no later one from being made
            failed += 1
            log.warning("Prefect could not be polled", exc_info=failed in (1, 10, 100))
        else:
            failed = 0
        with anyio.move_on_after(pause(seconds, failed)):
            await worker.look.wait()


def pause(seconds: float, failed: int) -> float:
    """How long to wait after a poll, in seconds: as `seconds` says, and longer after each of the `failed` in a row."""
    doubled: float = seconds * 2 ** min(
        failed, 10
    )  # of a larger number there is no float, and Prefect may be away for a day
    return max(seconds, min(doubled, _LONGEST_PAUSE_SECONDS))


async def _tolerant(workload: Callable[..., Coroutine[Any, Any, Any]]) -> None:
    """Run the workload; an error of Prefect's does not end the responder, whose runs would end with it."""
    try:
        await workload()
    except Exception as error:  # noqa: BLE001 - Prefect's edge: the next one may go well
        log.warning("%s: %s", type(error).__name__, str(error)[:300])


async def make_room(worker: ParamedicWorker, settings: Settings) -> None:
    """Raise the limit for groups of checks that are new since the start. It is never lowered."""
    limit = await anyio.to_thread.run_sync(_limit, settings)
    worker.limiter.total_tokens = max(worker.limiter.total_tokens, limit)


def _limit(settings: Settings) -> int:
    """The limit: of each group one round runs and the next may wait for it; other schedules have room for as many again."""
    return PLAYBOOKS + 2 * (_groups(settings) + 2)


def _groups(settings: Settings) -> int:
    """The number of groups of checks. A folder that cannot be read now stops no playbook."""
    try:
        return len(library_in_force(settings).groups())
    except Exception:  # whatever it was: the responder ends over no file of an author
        log.exception("the groups of checks cannot be counted: the limit allows for one")
        return 1


async def _prefect_answers(stop: anyio.Event) -> None:
    """Wait until Prefect answers, and log what is waited for."""
    api = get_current_settings().api
    if api.url is None:
        raise SystemExit("PREFECT_API_URL is not set; `paramedic up` starts a Prefect server of its own")
    end = threading.Event()
    async with anyio.create_task_group() as both:
        both.start_soon(_when, stop, end)
        await anyio.to_thread.run_sync(wait_for_prefect, PrefectApi(api.url, login=api.auth_string, key=api.key), end)
        both.cancel_scope.cancel()


async def _when(stop: anyio.Event, end: threading.Event) -> None:
    await stop.wait()
    end.set()


async def _prefect_knows(worker: ParamedicWorker, stop: anyio.Event) -> None:
    """Wait until Prefect knows the worker: its loops would repeat a lost heartbeat only after half a minute."""
    for pause in BACKOFF:
        if stop.is_set():
            return
        try:
            await worker.sync_with_backend()
        except Exception as error:  # noqa: BLE001 - Prefect's edge: whatever it says, it is asked again
            log.warning(
                "this worker is not registered with Prefect yet: %s: %s", type(error).__name__, str(error)[:300]
            )
            await anyio.sleep(pause)
        else:
            return


if __name__ == "__main__":
    hush_logging()
    logging.getLogger("paramedic").setLevel(logging.INFO)  # Prefect's handlers write it
    asyncio.run(serve())
