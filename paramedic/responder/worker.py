"""The `paramedic` worker type: a Prefect worker whose processes are warm before a run comes."""

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import anyio
import anyio.abc
import httpx
import psutil
from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
from prefect.client.schemas.objects import FlowRun, StateType, WorkPool, WorkQueue
from prefect.client.schemas.responses import DeploymentResponse, WorkerFlowRunResponse
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Completed, Crashed
from prefect.workers.base import BaseJobConfiguration, BaseVariables, BaseWorker, BaseWorkerResult
from pydantic import Field, ValidationError

from paramedic.alerts.alert import Severity
from paramedic.catalog import deployments
from paramedic.errors import Refused
from paramedic.machine.clock import utc_now
from paramedic.machine.parent_death import STOP_READING
from paramedic.responder import admission
from paramedic.responder.process_pool import Warm, WarmProcess
from paramedic.responder.run_leases import Taken
from paramedic.settings import ROOT, load_settings
from paramedic.store import Store
from paramedic.store.wakeups import RESPONDER, hang, listen
from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line

#: So many runs at once are never scheduled rounds, however many of those wait: an outage must not wait for a measurement.
PLAYBOOKS = 24

#: And of these so many are of the queue `critical` alone: they are not stuck behind warnings.
RESERVED = 4

#: How often the state and the size of a run at work are read.
_LOOK_EVERY_SECONDS = 2.0

#: A run that was seen waiting so short a time ago cannot have been run by another responder meanwhile.
_FRESH_SECONDS = 0.1

#: How often a warm process that died, or whose code has changed, is looked for.
_KEEP_WARM_SECONDS = 2.0

#: For so long what Prefect has said of a deployment is believed.
_BELIEVED_SECONDS = 30.0

#: What a run's page wants to know of its worker is told when the run has begun.
_TELL_AFTER_SECONDS = 5.0

_GRACE = Field(
    default=60.0,
    ge=0,
    title="Seconds after a cancel",
    description=(
        "How long a cancelled run may go on before its process is ended: "
        "a change that was already sent runs to its deadline and records its outcome."
    ),
)


class ParamedicJobConfiguration(BaseJobConfiguration):
    """How one run is run."""

    cancel_grace_seconds: float = _GRACE


class ParamedicVariables(BaseVariables):
    """What a pool, a deployment or a run may choose of it."""

    cancel_grace_seconds: float = _GRACE


class ParamedicWorkerResult(BaseWorkerResult):
    """How the run's process ended."""


class ParamedicWorker(BaseWorker[ParamedicJobConfiguration, ParamedicVariables, ParamedicWorkerResult]):
    """Takes each run with a process that has already imported Prefect and the flows; a process serves one run.

    Dispatch tells it of a new run (`hear`); Prefect's poll lies underneath. Either way a run is taken by a lease in the
    store, and its process asks Prefect for Running at once.

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
        """Prefect's, but offers only what a warm process heeds: its server checks all that is offered, for each run."""
        template = super().get_default_base_job_template()
        for unused in ("name", "labels", "command"):
            del template["variables"]["properties"][unused], template["job_configuration"][unused]
        return template

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings = load_settings()
        self._store = Store(self._settings.store())
        self._taken = Taken(self._store)
        folders = [ROOT / "paramedic", ROOT / "flows", ROOT / "tasks", self._settings.runbooks]
        self._warm = Warm(
            self._settings.warm_processes, [*folders, *filter(None, [self._settings.flows, self._settings.plugins])]
        )
        self._at_work: dict[UUID, asyncio.Event] = {}  # set when an operator cancels the run
        self._rounds: set[UUID] = set()  # of what is at work, the scheduled ones
        self._uncritical: set[UUID] = set()  # and the playbooks that leave RESERVED alone
        self._deployments: dict[UUID, DeploymentResponse] = {}
        self._entrypoints = deployments.entrypoints(self._settings.flows)  # that runs may have
        self._queues: dict[str, WorkQueue] = {}  # that are not paused
        self._beside: list[asyncio.Task[None]] = []
        self._deaf = threading.Event()
        self.look = asyncio.Event()

    async def setup(self) -> None:
        """Warm up before the first run is taken."""
        await super().setup()
        await self._warm.start()
        self._taken.start()
        self._beside = [
            asyncio.create_task(self._again(self._warm.keep, _KEEP_WARM_SECONDS)),
            asyncio.create_task(self._again(self._look_at_queues, _LOOK_EVERY_SECONDS)),
            asyncio.create_task(self._again(self._look_at_deployments, _BELIEVED_SECONDS)),
        ]
        loop = asyncio.get_running_loop()
        words: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._beside.append(asyncio.create_task(self._hear(words)))

        def heard(word: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(words.put_nowait, word)

        listen(hang(self._store, RESPONDER), heard, self._deaf)

    def take_no_more(self) -> None:
        """Those at work go on."""
        self._deaf.set()

    async def teardown(self, *exc_info: Any) -> None:
        """Idle processes go home; those with a run end it first."""
        self.take_no_more()
        for task in self._beside:
            task.cancel()
        self._warm.stop()
        self._taken.stop()
        await super().teardown(*exc_info)

    async def _again(self, look: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            try:
                await look()
            except (httpx.HTTPError, ObjectNotFound):
                pass  # what was known is believed until the next look
            except Exception:  # the loop's edge: one look that fails keeps no later one from being made
                self._logger.exception("a look failed")
            await asyncio.sleep(seconds)

    async def _hear(self, words: asyncio.Queue[dict[str, Any]]) -> None:
        while True:
            await self.hear(await words.get())

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Prefect's poll. It may hang for a minute: nothing that must go on meanwhile is done here."""
        self.look.clear()
        return await super().get_and_submit_flow_runs()

    async def _look_at_queues(self) -> None:
        """What an operator has paused takes no run: a poll is told so by the server, a word of dispatch is not."""
        pool = await self.client.read_work_pool(self._work_pool_name)
        queues = [] if pool.is_paused else await self.client.read_work_queues(work_pool_name=self._work_pool_name)
        self._queues = {queue.name: queue for queue in queues if not queue.is_paused}

    async def hear(self, word: dict[str, Any]) -> None:
        """Dispatch has made a run: take it now, if there is room for it. Whatever else was said, look."""
        run = word.get("run")
        if not isinstance(run, dict) or word.get("pool") != self._work_pool_name:
            self.look.set()
            return
        if not self._has_successfully_synced or word.get("queue") not in self._queues:
            return  # the poll knows better
        try:
            flow_run = FlowRun.model_validate(run | {"work_queue_name": word["queue"]})
        except ValidationError:
            self.look.set()
            return
        await self._take_up([flow_run])

    async def _submit_scheduled_flow_runs(self, flow_run_response: list[WorkerFlowRunResponse]) -> list[FlowRun]:
        """What a poll has found, in place of Prefect's own way."""
        return await self._take_up([entry.flow_run for entry in flow_run_response])

    async def _take_up(self, flow_runs: list[FlowRun]) -> list[FlowRun]:
        """Begin those that there is room for; which those are. One whose process has not ended yet waits for the next poll."""
        begun = []
        for flow_run in sorted(flow_runs, key=lambda one: one.auto_scheduled):
            if flow_run.id in self._at_work:
                continue
            if _missed(flow_run):
                await self._skip(flow_run)
            elif self._has_room(flow_run) and self._runs_task_group is not None:
                self._begin(flow_run)
                self._runs_task_group.start_soon(self._submit_run, flow_run)
                begun.append(flow_run)
        return begun

    def _has_room(self, flow_run: FlowRun) -> bool:
        """Of what the limit allows, PLAYBOOKS are never scheduled rounds, and RESERVED of those only critical."""
        if self._deaf.is_set():
            return False
        if self._limiter is None:
            return True
        if self._limiter.available_tokens < 1:
            return False
        if flow_run.auto_scheduled:
            return len(self._rounds) < self._limiter.total_tokens - PLAYBOOKS
        return flow_run.work_queue_name == Severity.CRITICAL or len(self._uncritical) < PLAYBOOKS - RESERVED

    def _begin(self, flow_run: FlowRun) -> None:
        if self._limiter is not None:
            self._limiter.acquire_on_behalf_of_nowait(flow_run.id)
        self._at_work[flow_run.id] = asyncio.Event()
        if flow_run.auto_scheduled:
            self._rounds.add(flow_run.id)
        elif flow_run.work_queue_name != Severity.CRITICAL:
            self._uncritical.add(flow_run.id)
        if self._cancelling_observer is not None:
            self._cancelling_observer.add_in_flight_flow_run_id(flow_run.id)

    def _end(self, flow_run: UUID) -> None:
        self._release_limit_slot(flow_run)
        self._at_work.pop(flow_run, None)
        self._rounds.discard(flow_run)
        self._uncritical.discard(flow_run)
        if self._cancelling_observer is not None:
            self._cancelling_observer.remove_in_flight_flow_run_id(flow_run)

    async def _skip(self, flow_run: FlowRun) -> None:
        """A round whose next has been due since ends without a process: after a stop there may be hundreds."""
        with contextlib.suppress(httpx.HTTPError, ObjectNotFound):  # then the next poll meets it again
            message = "a whole period late: the next round has been due since"
            await self.client.set_flow_run_state(flow_run.id, Completed(name="Skipped", message=message), force=True)

    async def _submit_run(self, flow_run: FlowRun) -> None:
        """Take it and run it, unless another responder has it."""
        seen_at = time.monotonic()
        try:
            if not await self._taken.take(str(flow_run.id)):
                return
            try:
                if time.monotonic() - seen_at < _FRESH_SECONDS or await self._still_waits(flow_run):
                    await self._run_taken(flow_run)
            finally:
                await self._taken.give_back(str(flow_run.id))
                self.look.set()  # who waits for room
        except Exception:  # one run's edge: the others go on
            self._logger.exception("flow run %s was lost on the way to its process", flow_run.id)
        finally:
            self._end(flow_run.id)

    async def _still_waits(self, flow_run: FlowRun) -> bool:
        """Whether nobody has had it meanwhile: another responder may have taken it, run it, and given it back."""
        now = await self.client.read_flow_run(flow_run.id)
        return now.state_type is StateType.SCHEDULED

    async def _run_taken(self, flow_run: FlowRun) -> None:
        deployment = await self._deployment(flow_run)
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

    async def _deployment(self, flow_run: FlowRun) -> DeploymentResponse | None:
        """The run's deployment, as Prefect has said it lately; None for one that is gone."""
        number = flow_run.deployment_id
        if number is None:
            return None
        if number not in self._deployments:
            try:
                self._deployments[number] = await self.client.read_deployment(number)
            except ObjectNotFound:
                return None
        return self._deployments[number]

    async def _look_at_deployments(self) -> None:
        """All that lie in the pool, and what they may run, before a run is in a hurry."""
        self._entrypoints = await asyncio.to_thread(deployments.entrypoints, self._settings.flows)
        pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[self._work_pool_name]))
        found = await self.client.read_deployments(work_pool_filter=pool, limit=200)
        self._deployments = {one.id: one for one in found}

    async def _admitted(self, flow_run: FlowRun, deployment: DeploymentResponse) -> ParamedicJobConfiguration:
        """How the run is to be run. Raises Refused for what dispatch has not registered, or not like that."""
        if deployment.entrypoint not in self._entrypoints:  # a playbook may be new
            self._entrypoints = await asyncio.to_thread(deployments.entrypoints, self._settings.flows)
        admission.admit(deployment, flow_run.job_variables or {}, entrypoints=self._entrypoints)
        configuration = await self._configuration(flow_run, deployment)
        admission.admit_environment(configuration.env, command=configuration.command)
        return self._with_entrypoint(configuration, flow_run, deployment)

    async def _refuse(self, flow_run: FlowRun, why: str) -> None:
        """It ends without a process. The watchdog hands its incident on, as after any crash."""
        words = redact(one_line(f"not run: {why}; allowed is what dispatch registers (docs/security.md)"))
        self._logger.error("flow run %s: %s", flow_run.id, words)
        with contextlib.suppress(httpx.HTTPError, ObjectNotFound):  # then the next poll meets it again
            await self.client.set_flow_run_state(flow_run.id, Crashed(message=words), force=True)

    async def _configuration(self, flow_run: FlowRun, deployment: DeploymentResponse) -> ParamedicJobConfiguration:
        """The pool's template with what deployment and run say of it: as Prefect's base does, with nothing to be asked."""
        variables = dict(deployment.job_variables or {})
        own = dict(flow_run.job_variables or {})
        env = {**variables.get("env", {}), **own.get("env", {})}
        variables |= own | ({"env": env} if env else {})
        configuration: ParamedicJobConfiguration = await ParamedicJobConfiguration.from_template_and_values(
            base_job_template=self.work_pool.base_job_template, values=variables, client=self.client
        )
        return configuration

    def _with_entrypoint(
        self, configuration: ParamedicJobConfiguration, flow_run: FlowRun, deployment: DeploymentResponse
    ) -> ParamedicJobConfiguration:
        """Its process loads the module that was looked at, and asks nobody again which one it is."""
        configuration.env |= {
            "PREFECT__FLOW_ENTRYPOINT": deployment.entrypoint,
            "PREFECT__FLOW_RUN_ID": str(flow_run.id),
        }
        return configuration

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ParamedicJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> ParamedicWorkerResult:
        """Give the run to a warm process and wait for its end."""
        process = await self._warm.take()
        env = {key: value for key, value in configuration.env.items() if value is not None}
        run = flow_run.model_dump(mode="json") | {"work_pool_name": self._work_pool_name}  # a poll does not say it
        process.tell({"flow_run": run, "env": env, "related": self._related(flow_run)})
        await process.born.wait()
        if task_status is not None:
            task_status.started(process.pid or 0)
        beside = [
            asyncio.create_task(self._tell_of_process(flow_run.id, process)),
            asyncio.create_task(self._keep_small(flow_run, process)),
        ]
        watch = asyncio.create_task(self._end_if_cancelled(process, flow_run.id, configuration))
        try:
            code = await process.wait()
        finally:
            for task in (*beside, watch):
                task.cancel()
        if watch.done() and not watch.cancelled():
            await self._cancelled(flow_run.id, "ended by the responder: it went on for too long after its cancel")
            code = 0
        elif await self._told_to_stop(flow_run.id):
            await self._cancelled(flow_run.id, "cancelled; its process has ended")
            code = 0
        return ParamedicWorkerResult(status_code=code, identifier=str(process.pid))

    def _related(self, flow_run: FlowRun) -> dict[str, dict[str, Any]]:
        """What the run's events name besides it, as far as it is known, by Prefect's own keys."""
        pool, queue = self._work_pool, self._queues.get(flow_run.work_queue_name or "")
        deployment = self._deployments.get(flow_run.deployment_id) if flow_run.deployment_id else None
        related = {f"work-pool.{pool.name}": _named(pool)} if pool else {}
        if queue is not None:
            related[f"work-queue.{queue.id}"] = _named(queue)
        if deployment is not None and not (deployment.branch or deployment.base):  # Prefect names these, too
            related[f"deployment.{deployment.id}"] = _named(deployment) | {"tags": deployment.tags}
        return related

    async def _tell_of_process(self, flow_run: UUID, process: WarmProcess) -> None:
        """What the run's page shows of its worker."""
        await asyncio.sleep(_TELL_AFTER_SECONDS)
        with contextlib.suppress(httpx.HTTPError, ObjectNotFound):
            await self.client.update_flow_run(flow_run_id=flow_run, infrastructure_pid=str(process.pid))
            await self._give_worker_labels_to_flow_run(flow_run)

    async def _keep_small(self, flow_run: FlowRun, process: WarmProcess) -> None:
        """A run that leaks takes its own process down and nothing else."""
        limit = self._settings.run_memory
        while (size := _resident(process.pid)) <= limit:  # noqa: ASYNC110 - the size is the kernel's, not ours
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
        self.get_flow_run_logger(flow_run).error(
            "Its process grew to %d MiB and was ended: run_memory allows %d MiB", size >> 20, limit >> 20
        )
        process.signal(signal.SIGKILL)

    async def _end_if_cancelled(
        self, process: WarmProcess, flow_run: UUID, configuration: ParamedicJobConfiguration
    ) -> None:
        """Returns once it has ended the process of a cancelled run that did not end by itself in time."""
        stopped = self._at_work[flow_run]
        while not stopped.is_set():  # one that was cancelled before, Prefect does not let begin
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), _LOOK_EVERY_SECONDS)
            if await self._told_to_stop(flow_run):
                break
        process.signal(STOP_READING)
        await asyncio.sleep(configuration.cancel_grace_seconds)
        process.signal(signal.SIGKILL)  # of a SIGTERM Prefect's engine would say that it crashed
        await process.wait()

    async def _cancel_run(self, flow_run_id: UUID) -> None:
        """Prefect's own observer has seen that an operator cancels it."""
        if flow_run_id in self._at_work:
            self._at_work[flow_run_id].set()
        else:
            await super()._cancel_run(flow_run_id)

    async def _told_to_stop(self, flow_run: UUID) -> bool:
        try:
            now = await self.client.read_flow_run(flow_run)
        except (httpx.HTTPError, ObjectNotFound):
            return False
        return now.state_type is StateType.CANCELLING

    async def _cancelled(self, flow_run: UUID, why: str) -> None:
        """Cancelling is no end, and Prefect refuses every other than Cancelled."""
        with contextlib.suppress(httpx.HTTPError, ObjectNotFound):
            await self.client.set_flow_run_state(flow_run, Cancelled(message=why), force=True)


def _named(one: WorkPool | WorkQueue | DeploymentResponse) -> dict[str, Any]:
    return {"id": str(one.id), "name": one.name}


def _missed(flow_run: FlowRun) -> bool:
    """Whether a scheduled round comes so late that the next one has been due since. It says itself how often they come."""
    said = flow_run.parameters.get("run")
    every = said.get("every") if isinstance(said, dict) else None
    due = flow_run.expected_start_time
    if not flow_run.auto_scheduled or not isinstance(every, int) or due is None:
        return False
    return utc_now() - due >= timedelta(seconds=every)


def _resident(pid: int | None) -> int:
    """The process's own memory in bytes; 0 where that cannot be read."""
    try:
        said = psutil.Process(pid).memory_info()
    except (psutil.Error, ValueError):
        return 0
    return int(said.rss - getattr(said, "shared", 0))


def _crash(code: int) -> str:
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"Its process ended by {how} before the run had ended; another one takes the next run."
