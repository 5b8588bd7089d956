"""The `paramedic` worker type: a Prefect worker whose processes are warm before a run comes."""

import asyncio
import contextlib
import logging
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import anyio.abc
import httpx
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse, WorkerFlowRunResponse
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Crashed
from prefect.workers.base import BaseWorker, BaseWorkerResult
from pydantic import ValidationError

from paramedic.errors import Refused
from paramedic.responder import admission
from paramedic.responder.cancellation import Cancellation
from paramedic.responder.capacity import Capacity, missed, newest_rounds
from paramedic.responder.deployment_cache import BELIEVED_SECONDS, DeploymentCache
from paramedic.responder.job_configuration import ParamedicJobConfiguration, ParamedicVariables, configure
from paramedic.responder.memory_limit import keep_below
from paramedic.responder.process_pool import PooledProcess, ProcessPool
from paramedic.responder.run_leases import RunLeases
from paramedic.responder.shortcut_check import environment
from paramedic.settings import ROOT, Settings, load_settings
from paramedic.store import Store
from paramedic.store.wakeups import RESPONDER, listen, subscribe
from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line

#: How often the state and the size of a run at work are read.
_LOOK_EVERY_SECONDS = 2.0

#: A run that was seen waiting so short a time ago cannot have been run by another responder meanwhile.
_FRESH_SECONDS = 0.1

#: How often a warm process that died, or whose code has changed, is looked for.
_REFRESH_SECONDS = 2.0

#: What a run's page shows of its worker is sent after the run has begun.
_TELL_AFTER_SECONDS = 5.0


class ParamedicWorkerResult(BaseWorkerResult):
    """How the run's process ended."""


class ParamedicWorker(BaseWorker[ParamedicJobConfiguration, ParamedicVariables, ParamedicWorkerResult]):
    """Takes each run with a process that has already imported Prefect and the flows; a process serves one run.

    Dispatch notifies it of a new run (`on_notification`); a poll of Prefect finds what a notification missed. Either way a
    run is taken by a lease in the store, and its process asks Prefect for Running at once.

    Prefect's own base cancels only runs that have not started. This one lets a cancelled run end by itself, because
    killing it could cut a change in half, and ends it when it takes longer than `cancel_grace_seconds`.
    """

    type = "paramedic"
    job_configuration = ParamedicJobConfiguration
    job_configuration_variables = ParamedicVariables

    _description = "Runs Paramedic's playbooks in warm processes on this machine."
    _display_name = "Paramedic"

    @classmethod
    def get_default_base_job_template(cls) -> dict[str, Any]:
        """Prefect's, reduced to what a warm process uses: its server validates all of it for each run."""
        template = super().get_default_base_job_template()
        for unused in ("name", "labels", "command"):
            del template["variables"]["properties"][unused], template["job_configuration"][unused]
        return template

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings = load_settings()
        self._store = Store(self._settings.store())
        self._leases = RunLeases(self._store)
        self._pool = ProcessPool(self._settings.warm_processes, _imported(self._settings), environment(self._settings))
        self._at_work: dict[UUID, asyncio.Event] = {}  # set when an operator cancels the run
        self.capacity, self.warm = Capacity(), self._pool.warm
        self._deployments = DeploymentCache(self._work_pool_name, self._settings.flows)
        self._beside: list[asyncio.Task[None]] = []
        self._takes_no_more = threading.Event()
        self.look = asyncio.Event()

    async def setup(self) -> None:
        """Start the process pool and the background tasks before the first run."""
        await super().setup()
        await self._pool.start()
        self._leases.start()
        self._beside = [
            asyncio.create_task(_again(self._logger, self._pool.refresh, _REFRESH_SECONDS)),
            asyncio.create_task(
                _again(self._logger, lambda: self._deployments.look_at_queues(self.client), _LOOK_EVERY_SECONDS)
            ),
            asyncio.create_task(
                _again(self._logger, lambda: self._deployments.look_at_deployments(self.client), BELIEVED_SECONDS)
            ),
        ]
        loop = asyncio.get_running_loop()
        payloads: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._beside.append(asyncio.create_task(self._receive_notifications(payloads)))

        def receive(payload: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(payloads.put_nowait, payload)

        listen(subscribe(self._store, RESPONDER), receive, self._takes_no_more)

    def take_no_more(self) -> None:
        """Take no more runs; those at work go on."""
        self._takes_no_more.set()

    async def teardown(self, *exc_info: Any) -> None:
        """End the idle processes; those with a run end after it."""
        self.take_no_more()
        for task in self._beside:
            task.cancel()
        self._pool.stop()
        self._leases.stop()
        await super().teardown(*exc_info)

    async def _receive_notifications(self, payloads: asyncio.Queue[dict[str, Any]]) -> None:
        while True:
            await self.on_notification(await payloads.get())

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Poll Prefect. It may hang for a minute: nothing that must go on meanwhile is done here."""
        self.look.clear()
        return await super().get_and_submit_flow_runs()

    async def on_notification(self, payload: dict[str, Any]) -> None:
        """Handle a notification of dispatch: take its run now, if there is room. Any other payload means: poll."""
        run = payload.get("run")
        if not isinstance(run, dict) or payload.get("pool") != self._work_pool_name:
            self.look.set()
            return
        if not self._has_successfully_synced or payload.get("queue") not in self._deployments.queues:
            return  # the poll knows better
        try:
            flow_run = FlowRun.model_validate(run | {"work_queue_name": payload["queue"]})
        except ValidationError:
            self.look.set()
            return
        await self._take_up([flow_run])

    async def _submit_scheduled_flow_runs(self, flow_run_response: list[WorkerFlowRunResponse]) -> list[FlowRun]:
        """Take the runs that a poll has found, instead of Prefect's own way."""
        return await self._take_up([entry.flow_run for entry in flow_run_response])

    async def _take_up(self, flow_runs: list[FlowRun]) -> list[FlowRun]:
        """Begin the runs that there is room for; returns them. A run whose process has not ended waits for the next poll."""
        begun, newest = [], newest_rounds(flow_runs)
        for flow_run in sorted(flow_runs, key=lambda run: run.auto_scheduled):
            if flow_run.id in self._at_work:
                continue
            if missed(flow_run) and flow_run.id not in newest:
                await self._skip(flow_run)
            elif (
                not self._takes_no_more.is_set()
                and self.capacity.fits(flow_run, self._limiter)
                and self._runs_task_group
            ):
                self._begin(flow_run)
                self._runs_task_group.start_soon(self._submit_run, flow_run)
                begun.append(flow_run)
        return begun

    def _begin(self, flow_run: FlowRun) -> None:
        if self._limiter is not None:
            self._limiter.acquire_on_behalf_of_nowait(flow_run.id)
        self._at_work[flow_run.id] = asyncio.Event()
        self.capacity.begin(flow_run)
        if self._cancelling_observer is not None:
            self._cancelling_observer.add_in_flight_flow_run_id(flow_run.id)

    def _end(self, flow_run: UUID) -> None:
        self._release_limit_slot(flow_run)
        self._at_work.pop(flow_run, None)
        self.capacity.end(flow_run)
        if self._cancelling_observer is not None:
            self._cancelling_observer.remove_in_flight_flow_run_id(flow_run)

    async def _skip(self, flow_run: FlowRun) -> None:
        """End an outdated round without a process: after a stop there may be hundreds."""
        with contextlib.suppress(httpx.HTTPError, ObjectNotFound):  # then the next poll meets it again
            message = "a whole period late: the next round has been due since"
            await self.client.set_flow_run_state(flow_run.id, Completed(name="Skipped", message=message), force=True)

    async def _submit_run(self, flow_run: FlowRun) -> None:
        """Take the run's lease and run it, unless another responder has it."""
        seen_at = time.monotonic()
        try:
            if not await self._leases.take(str(flow_run.id)):
                return
            try:
                if time.monotonic() - seen_at < _FRESH_SECONDS or await self._still_waits(flow_run):
                    await self._run_taken(flow_run)
            finally:
                await self._leases.release(str(flow_run.id))
                self.look.set()  # who waits for room
        except Exception:  # one run's edge: the others go on
            self._logger.exception("flow run %s was lost on the way to its process", flow_run.id)
        finally:
            self._end(flow_run.id)

    async def _still_waits(self, flow_run: FlowRun) -> bool:
        """Whether the run is still scheduled: another responder may have taken, run and released it meanwhile."""
        now = await self.client.read_flow_run(flow_run.id)
        return now.state_type is StateType.SCHEDULED

    async def _run_taken(self, flow_run: FlowRun) -> None:
        deployment = await self._deployments.of(flow_run, self.client)
        if deployment is None:
            message = f"Deployment {flow_run.deployment_id} no longer exists, cancelled run."
            await self._mark_flow_run_as_cancelled(flow_run, state_updates={"message": message})
            return
        try:
            configuration = await self._admitted(flow_run, deployment)
        except Refused as no:
            await self._refuse(flow_run, str(no))
            return
        limited = deployment.concurrency_limit or deployment.global_concurrency_limit
        if limited and not await self._propose_pending_state(flow_run):  # Prefect gives the slot with Pending
            return
        try:
            result = await self.run(flow_run, configuration)
        except RuntimeError as error:
            if limited:  # nobody polls for what is Pending
                await self._propose_crashed_state(flow_run, f"no process could be had for it: {error}")
            raise
        if result.status_code != 0:
            await self._propose_crashed_state(flow_run, _crash(result.status_code))

    async def _admitted(self, flow_run: FlowRun, deployment: DeploymentResponse) -> ParamedicJobConfiguration:
        """The run's configuration. Raises Refused for what dispatch has not registered, or not in this form."""
        if deployment.entrypoint not in self._deployments.entrypoints:
            await self._deployments.look_at_files()
        admission.admit(deployment, flow_run.job_variables or {}, entrypoints=self._deployments.entrypoints)
        made = await configure(self.work_pool.base_job_template, flow_run, deployment, self.client)
        admission.admit_environment(made.env, command=made.command)
        # Its process loads the module that was checked, without another question which one that is.
        made.env |= {"PREFECT__FLOW_ENTRYPOINT": deployment.entrypoint, "PREFECT__FLOW_RUN_ID": str(flow_run.id)}
        return made

    async def _refuse(self, flow_run: FlowRun, why: str) -> None:
        """End the run without a process. The watchdog handles its incident, as after any crash."""
        words = redact(one_line(f"not run: {why}; allowed is what dispatch registers (docs/security.md)"))
        self._logger.error("flow run %s: %s", flow_run.id, words)
        with contextlib.suppress(httpx.HTTPError, ObjectNotFound):  # then the next poll meets it again
            await self.client.set_flow_run_state(flow_run.id, Crashed(message=words), force=True)

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ParamedicJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> ParamedicWorkerResult:
        """Run it in a warm process and wait for its end."""
        process = await self._pool.take()
        env = {key: value for key, value in configuration.env.items() if value is not None}
        run = flow_run.model_dump(mode="json") | {"work_pool_name": self._work_pool_name}  # a poll does not say it
        process.assign({"flow_run": run, "env": env, "related": self._deployments.related(flow_run, self._work_pool)})
        await process.born.wait()
        if task_status is not None:
            task_status.started(process.pid or 0)
        beside = [
            asyncio.create_task(self._report_process(flow_run.id, process)),
            asyncio.create_task(keep_below(self._settings.run_memory, process, self.get_flow_run_logger(flow_run))),
        ]
        cancellation = Cancellation(self.client, flow_run.id, self._at_work[flow_run.id])
        watch = asyncio.create_task(cancellation.end_in_time(process, grace=configuration.cancel_grace_seconds))
        try:
            code = await process.wait()
        finally:
            for task in (*beside, watch):
                task.cancel()
        if watch.done() and not watch.cancelled():
            await cancellation.confirm("ended by the responder: it went on for too long after its cancel")
            code = 0
        elif await cancellation.is_asked_for():
            await cancellation.confirm("cancelled; its process has ended")
            code = 0
        return ParamedicWorkerResult(status_code=code, identifier=str(process.pid))

    async def _report_process(self, flow_run: UUID, process: PooledProcess) -> None:
        """Report the process and the worker to the run's page."""
        await asyncio.sleep(_TELL_AFTER_SECONDS)
        with contextlib.suppress(httpx.HTTPError, ObjectNotFound):
            await self.client.update_flow_run(flow_run_id=flow_run, infrastructure_pid=str(process.pid))
            await self._give_worker_labels_to_flow_run(flow_run)

    async def _cancel_run(self, flow_run_id: UUID) -> None:
        """Handle an operator's cancel, seen by Prefect's own observer."""
        if flow_run_id in self._at_work:
            self._at_work[flow_run_id].set()
        else:
            await super()._cancel_run(flow_run_id)


async def _again(
    log: logging.Logger | logging.LoggerAdapter[logging.Logger], look: Callable[[], Awaitable[None]], seconds: float
) -> None:
    """Look, again and again, with this pause in between; a look that fails is not the last."""
    while True:
        try:
            await look()
        except (httpx.HTTPError, ObjectNotFound):
            pass  # what was known is believed until the next look
        except Exception:  # the loop's edge: one look that fails keeps no later one from being made
            log.exception("a background check of the responder failed")
        await asyncio.sleep(seconds)


def _crash(code: int) -> str:
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"Its process ended by {how} before the run had ended; another one takes the next run."


def _imported(settings: Settings) -> list[Path]:
    """The folders of what a warm process imports and reads."""
    folders = [ROOT / "paramedic", ROOT / "flows", ROOT / "tasks", settings.runbooks]
    return [*folders, *filter(None, [settings.flows, settings.plugins])]
