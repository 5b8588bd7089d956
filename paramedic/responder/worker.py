"""The `paramedic` worker type: a Prefect worker whose processes are warm before a run comes."""

import asyncio
import collections
import contextlib
import json
import os
import sys
import time
from typing import Any
from uuid import UUID

import anyio
import anyio.abc
import httpx
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.workers.base import BaseJobConfiguration, BaseVariables, BaseWorker, BaseWorkerResult

#: How long a run that was told to stop may go on: a change already sent runs to its deadline and records its outcome.
CANCEL_GRACE_SECONDS = 60.0

_LOOK_EVERY_SECONDS = 2.0


class ParamedicWorkerResult(BaseWorkerResult):
    """How the run's process ended."""


class ParamedicWorker(BaseWorker[BaseJobConfiguration, BaseVariables, ParamedicWorkerResult]):
    """Takes each run with a process that has already imported Prefect and the flows; a process serves one run.

    Prefect's own base cancels only runs that have not started. This one lets a cancelled run end by itself, because
    killing it could cut a change in half, and ends it when it takes longer than CANCEL_GRACE_SECONDS.
    """

    type = "paramedic"
    job_configuration = BaseJobConfiguration
    job_configuration_variables = BaseVariables

    _description = "Runs Paramedic's playbooks in warm processes on this machine."
    _display_name = "Paramedic"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._wanted = int(os.environ.get("PARAMEDIC_WARM_PROCESSES", "2"))
        self._warm: collections.deque[asyncio.subprocess.Process] = collections.deque()

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

    async def run(
        self,
        flow_run: FlowRun,
        configuration: BaseJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> ParamedicWorkerResult:
        """Give the run to a warm process and wait for its end."""
        process = await self._take()
        if task_status is not None:
            task_status.started(process.pid)
        env = {key: value for key, value in configuration.env.items() if value is not None}
        if process.stdin is not None:
            with contextlib.suppress(ConnectionError):  # it died just now: its exit code tells
                process.stdin.write(json.dumps({"flow_run": str(flow_run.id), "env": env}).encode() + b"\n")
                await process.stdin.drain()
        await self._refill()
        code = await self._ended(process, flow_run.id)
        if await self._told_to_stop(flow_run.id):
            await self._mark_flow_run_as_cancelled(flow_run)
            code = 0
        return ParamedicWorkerResult(status_code=code, identifier=str(process.pid))

    async def _ended(self, process: asyncio.subprocess.Process, flow_run: UUID) -> int:
        told_at: float | None = None
        while True:
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(process.wait(), _LOOK_EVERY_SECONDS)
            if told_at is None and await self._told_to_stop(flow_run):
                told_at = time.monotonic()
            if told_at is not None and time.monotonic() - told_at > CANCEL_GRACE_SECONDS:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()

    async def _told_to_stop(self, flow_run: UUID) -> bool:
        try:
            now = await self.client.read_flow_run(flow_run)
        except httpx.HTTPError:
            return False
        return now.state_type is StateType.CANCELLING

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


async def _start() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "paramedic.responder.engine", stdin=asyncio.subprocess.PIPE
    )


def _go_home(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
