"""How a warm process begins its run: Prefect's own way."""

import asyncio
import inspect
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow
from prefect.flows import Flow


class RunStart:
    """As `python -m prefect.engine` begins a run, by nothing but what Prefect offers to everybody."""

    def opened(self) -> AbstractContextManager[object]:
        """What is there from before the run comes until it is over."""
        return nullcontext()

    def prepare(self) -> None:
        """What the run would wait for otherwise, while nobody waits."""

    def hear(self, flow_run: dict[str, Any], related: dict[str, dict[str, Any]]) -> None:
        """The run, as Prefect gave it, and what its events name besides it (`KIND.ID`: `id`, `name`, `tags`)."""

    def run(self, flow: Flow[..., Any], flow_run: FlowRun) -> None:
        """Run it to its end."""
        running = run_flow(flow, flow_run=flow_run, return_type="state")
        if inspect.iscoroutine(running):
            asyncio.run(running)
