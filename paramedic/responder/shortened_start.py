"""How a warm process begins its run where Prefect is as the shortcuts need it (`paramedic.responder.shortcut_check`)."""

import contextlib
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
from prefect.client.schemas.objects import FlowRun
from prefect.context import SyncClientContext
from prefect.events.worker import EventsWorker
from prefect.flows import Flow
from prefect.logging.handlers import APILogWorker
from prefect.settings import get_current_settings

from paramedic.responder.prefect_shortcuts import WarmEngine, client_context, client_settings, know_related
from paramedic.responder.run_start import RunStart
from paramedic.responder.warm_up import rehearse


class ShortenedStart(RunStart):
    """Makes only the necessary calls before the flow's first line; begins Prefect's own way where the rehearsal failed."""

    def __init__(self) -> None:
        self._known, self._settings = client_settings()
        self._client: SyncClientContext | None = None
        self._fails = False

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """One client for the whole process."""
        with client_context(self._settings) as self._client:
            yield

    def prepare(self) -> None:
        """Start the threads that send the run's events and logs, and do everything once that is slow the first time."""
        if get_current_settings().client.csrf_support_enabled:
            self._learn_token()
        EventsWorker.instance()
        if get_current_settings().logging.to_api.enabled:
            APILogWorker.instance()
        self._fails = not rehearse()

    def prefetch(self, flow_run: dict[str, Any], related: dict[str, dict[str, Any]]) -> None:
        """Neither the run nor its related resources are requested again."""
        if self._fails:
            return
        if self._known is not None:
            self._known.set_run(flow_run)
        know_related(related)

    def run(self, flow: Flow[..., Any], flow_run: FlowRun) -> None:
        """Run it by Prefect's engine, which starts in parallel what the run need not wait for."""
        if self._fails or flow.isasync or flow.isgenerator:
            super().run(flow, flow_run)
            return
        know_related({f"flow.{flow_run.flow_id}": {"id": str(flow_run.flow_id), "name": flow.name}})
        engine = WarmEngine[..., Any](flow=flow, flow_run=flow_run, parameters=flow_run.parameters)
        with engine.start():
            while engine.is_running():
                with engine.run_context():
                    engine.call_flow_fn()

    def _learn_token(self) -> None:
        """Have the client fetch its CSRF token, which it does before its first change. Errors are left for the run to report."""
        if self._client is not None:
            with contextlib.suppress(httpx.HTTPError):
                body = {"flow_runs": {"id": {"any_": [str(UUID(int=0))]}}}
                self._client.client.request("POST", "/flow_runs/count", json=body)
