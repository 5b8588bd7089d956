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
    """Asks and tells Prefect before the first line only what must be. A rehearsal that failed leaves the run to Prefect's way."""

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
        """The threads that tell the run's events and logs, and the first time of everything."""
        if get_current_settings().client.csrf_support_enabled:
            self._learn_token()
        EventsWorker.instance()
        if get_current_settings().logging.to_api.enabled:
            APILogWorker.instance()
        self._fails = not rehearse()

    def hear(self, flow_run: dict[str, Any], related: dict[str, dict[str, Any]]) -> None:
        """Neither the run nor what its events name is asked for again."""
        if self._fails:
            return
        if self._known is not None:
            self._known.told(flow_run)
        know_related(related)

    def run(self, flow: Flow[..., Any], flow_run: FlowRun) -> None:
        """As Prefect's engine, which begins beside the run what need not be there before it."""
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
        """The client asks before its first change whether the server wants a token with it. One that is away, the run finds."""
        if self._client is not None:
            with contextlib.suppress(httpx.HTTPError):
                body = {"flow_runs": {"id": {"any_": [str(UUID(int=0))]}}}
                self._client.client.request("POST", "/flow_runs/count", json=body)
