"""How a warm process begins its run: Prefect's own way."""

import asyncio
import inspect
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow
from prefect.flows import Flow


class RunStart:
    """Begins a run as `python -m prefect.engine` does, by Prefect's public interface alone."""

    def opened(self) -> AbstractContextManager[object]:
        """A context that is open from before the run arrives until it has ended."""
        return nullcontext()

    def prepare(self) -> None:
        """Do in advance what the run would otherwise wait for."""

    def prefetch(self, flow_run: dict[str, Any], related: dict[str, dict[str, Any]]) -> None:
        """Use the run as Prefect returned it, and the related resources of its events (`KIND.ID`: `id`, `name`, `tags`)."""

    def run(self, flow: Flow[..., Any], flow_run: FlowRun) -> None:
        """Run it to its end."""
        running = run_flow(flow, flow_run=flow_run, return_type="state")
        if inspect.iscoroutine(running):
            asyncio.run(running)
