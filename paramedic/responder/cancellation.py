"""Cancellation: a cancelled run ends by itself, because killing it could interrupt a change; one that takes too long is ended."""

import asyncio
import contextlib
import signal
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled

from paramedic.machine.parent_death import STOP_READING
from paramedic.responder.process_pool import PooledProcess

#: How often it is asked whether a run at work is cancelled.
_LOOK_EVERY_SECONDS = 2.0


class Cancellation:
    """The cancellation of one run, which may come at any time."""

    def __init__(self, client: PrefectClient, flow_run: UUID, asked: asyncio.Event) -> None:
        """`asked` is set where Prefect's own observer has seen the cancel."""
        self._client, self._flow_run, self._asked = client, flow_run, asked

    async def end_in_time(self, process: PooledProcess, *, grace: float) -> None:
        """End the process of a cancelled run that did not end by itself within `grace` seconds."""
        while not self._asked.is_set():  # one that was cancelled before, Prefect does not let begin
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), _LOOK_EVERY_SECONDS)
            if await self.is_asked_for():
                break
        process.signal(STOP_READING)
        await asyncio.sleep(grace)
        process.signal(signal.SIGKILL)  # of a SIGTERM Prefect's engine would say that it crashed
        await process.wait()

    async def is_asked_for(self) -> bool:
        """Whether the run is being cancelled in Prefect; False while Prefect does not answer."""
        try:
            now = await self._client.read_flow_run(self._flow_run)
        except (httpx.HTTPError, ObjectNotFound):
            return False
        return now.state_type is StateType.CANCELLING

    async def confirm(self, why: str) -> None:
        """Set the run to Cancelled: from Cancelling Prefect allows no other end."""
        with contextlib.suppress(httpx.HTTPError, ObjectNotFound):
            await self._client.set_flow_run_state(self._flow_run, Cancelled(message=why), force=True)
