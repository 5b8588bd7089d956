"""The `paramedic` worker type: a Prefect worker whose processes are warm before a run comes."""

import asyncio
import collections
import contextlib
import json
import os
import sys
from datetime import timedelta
from typing import Any
from uuid import UUID

import anyio
import anyio.abc
import httpx
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Completed
from prefect.workers.base import BaseJobConfiguration, BaseVariables, BaseWorker, BaseWorkerResult
from pydantic import Field

from paramedic.clock import utc_now
from paramedic.lifeline import command

#: How long a process that was asked to end may take before it is killed.
_TERM_SECONDS = 5.0

#: So many runs at once are never scheduled rounds, however many of those wait: an outage must not wait for a measurement.
PLAYBOOKS = 8

#: How often the state of a run at work is read.
_LOOK_EVERY_SECONDS = 2.0

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

    Prefect's own base cancels only runs that have not started. This one lets a cancelled run end by itself, because
    killing it could cut a change in half, and ends it when it takes longer than `cancel_grace_seconds`.
    """

    type = "paramedic"
    job_configuration = ParamedicJobConfiguration
    job_configuration_variables = ParamedicVariables

    _description = "Runs Paramedic's playbooks in warm processes on this machine."
    _display_name = "Paramedic"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._wanted = int(os.environ.get("PARAMEDIC_WARM_PROCESSES", "2"))
        self._warm: collections.deque[asyncio.subprocess.Process] = collections.deque()
        self._at_work: set[UUID] = set()
        self._rounds: set[UUID] = set()  # of what is at work or on its way there, the scheduled ones

    async def setup(self) -> None:
        """Warm up before the first run is taken."""
        await super().setup()
        await self._refill()

    async def teardown(self, *exc_info: Any) -> None:
        """Idle processes go home; those with a run end it first."""
        for process in self._warm:
            _go_home(process)
        self._warm.clear()
        await super().teardown(*exc_info)

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Prefect's poll; a warm process that was killed meanwhile is replaced."""
        await self._refill()
        return await super().get_and_submit_flow_runs()

    async def _submit_scheduled_flow_runs(self, flow_run_response: list[WorkerFlowRunResponse]) -> list[FlowRun]:
        """A run that is asked for again before its process has ended waits for the next poll.

        Prefect's own falls over it: whoever presses Retry at once would end the worker, and every run with it.
        """
        free = [entry for entry in flow_run_response if entry.flow_run.id not in self._at_work]
        missed = [entry.flow_run for entry in free if _missed(entry.flow_run)]
        for flow_run in missed:
            await self._skip(flow_run)
        rounds = [entry for entry in free if entry.flow_run.auto_scheduled and entry.flow_run not in missed]
        others = [entry for entry in free if not entry.flow_run.auto_scheduled]
        return await super()._submit_scheduled_flow_runs(others + rounds[: self._room_for(rounds)])

    def _room_for(self, rounds: list[WorkerFlowRunResponse]) -> int:
        """How many of these scheduled rounds may begin: of what the limit allows, PLAYBOOKS are never theirs."""
        if self._limiter is None:
            return len(rounds)
        self._rounds &= self._at_work | self._submitting_flow_run_ids
        room = max(0, round(self._limiter.total_tokens) - PLAYBOOKS - len(self._rounds))
        self._rounds |= {entry.flow_run.id for entry in rounds[:room]}
        return room

    async def _skip(self, flow_run: FlowRun) -> None:
        """A round whose next has been due since ends without a process: after a stop there may be hundreds."""
        with contextlib.suppress(httpx.HTTPError, ObjectNotFound):  # then the next poll meets it again
            message = "a whole period late: the next round has been due since"
            await self.client.set_flow_run_state(flow_run.id, Completed(name="Skipped", message=message), force=True)

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ParamedicJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> ParamedicWorkerResult:
        """Give the run to a warm process and wait for its end; of a code that is not 0 Prefect's base says Crashed."""
        self._at_work.add(flow_run.id)
        try:
            process = await self._take()
            if task_status is not None:
                task_status.started(process.pid)
            env = {key: value for key, value in configuration.env.items() if value is not None}
            if process.stdin is not None:
                with contextlib.suppress(ConnectionError):  # it died just now: its exit code tells
                    process.stdin.write(json.dumps({"flow_run": str(flow_run.id), "env": env}).encode() + b"\n")
                    await process.stdin.drain()
            await self._refill()
            watch = asyncio.create_task(self._end_if_cancelled(process, flow_run.id, configuration))
            try:
                code = await process.wait()
            finally:
                watch.cancel()
            if watch.done() and not watch.cancelled():
                await self._cancelled(flow_run.id, "ended by the responder: it went on for too long after its cancel")
                code = 0
            elif await self._told_to_stop(flow_run.id):
                await self._cancelled(flow_run.id, "cancelled; its process has ended")
                code = 0
            return ParamedicWorkerResult(status_code=code, identifier=str(process.pid))
        finally:
            self._at_work.discard(flow_run.id)

    async def _end_if_cancelled(
        self, process: asyncio.subprocess.Process, flow_run: UUID, configuration: ParamedicJobConfiguration
    ) -> None:
        """Returns once it has ended the process of a cancelled run that did not end by itself in time."""
        while not await self._told_to_stop(flow_run):  # noqa: ASYNC110 - the state is Prefect's, not ours
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
        await asyncio.sleep(configuration.cancel_grace_seconds)
        for end in (process.terminate, process.kill):
            with contextlib.suppress(ProcessLookupError):
                end()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _TERM_SECONDS)
                return

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

    async def _take(self) -> asyncio.subprocess.Process:
        while self._warm:
            process = self._warm.popleft()
            if process.returncode is None:
                return process
        return await _start()

    async def _refill(self) -> None:
        self._warm = collections.deque(process for process in self._warm if process.returncode is None)
        while len(self._warm) < self._wanted:
            self._warm.append(await _start())


def _missed(flow_run: FlowRun) -> bool:
    """Whether a scheduled round comes so late that the next one has been due since. It says itself how often they come."""
    said = flow_run.parameters.get("run")
    every = said.get("every") if isinstance(said, dict) else None
    due = flow_run.expected_start_time
    if not flow_run.auto_scheduled or not isinstance(every, int) or due is None:
        return False
    return utc_now() - due >= timedelta(seconds=every)


async def _start() -> asyncio.subprocess.Process:
    argv = command([sys.executable, "-m", "paramedic.responder.engine"])
    return await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.PIPE)


def _go_home(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
