"""A warm process: has connected to Prefect and the store, is warmed up, waits for one flow run, runs it, and ends."""

import asyncio
import contextlib
import importlib
import inspect
import json
import os
import select
import socket
from typing import Any
from uuid import UUID

import httpx
from prefect.client.schemas.objects import FlowRun
from prefect.context import SyncClientContext, refresh_global_settings_context
from prefect.engine import handle_engine_signals
from prefect.events.worker import EventsWorker
from prefect.flow_engine import load_flow, run_flow
from prefect.flows import Flow
from prefect.logging.handlers import APILogWorker
from prefect.logging.loggers import flow_run_logger
from prefect.settings import get_current_settings

from paramedic.responder.prefect_shortcuts import WarmEngine, client_context, client_settings, know_related
from paramedic.responder.warm_up import rehearse

#: Whoever has no run after so long was not made for one, and has time to prepare.
_IDLE_SECONDS = 0.05


def serve(channel: socket.socket) -> None:
    """Run the order in the channel: one JSON object, `{"flow_run", "env", "related"}`; without one, return.

    A failed run is not a failure of its process, which ends with 0.
    """
    known, settings = client_settings()
    with client_context(settings) as prefect:
        if not select.select([channel], [], [], _IDLE_SECONDS)[0]:  # nobody waits
            _prepare(prefect)
        importlib.import_module("tasks.run_cache").open_ways()
        with channel:
            received = b"".join(iter(lambda: channel.recv(65536), b""))
        if not received:
            return
        order = json.loads(received)
        os.environ.update(order["env"])
        if any(name.startswith("PREFECT_") and not name.startswith("PREFECT__") for name in order["env"]):
            refresh_global_settings_context()  # Prefect read its settings when it was imported
        if known is not None:
            known.told(order["flow_run"])
        know_related(order["related"])
        run(FlowRun.model_validate(order["flow_run"]))


def run(flow_run: FlowRun) -> None:
    """Run it as `python -m prefect.engine` does."""
    with handle_engine_signals(flow_run.id):
        logger = flow_run_logger(flow_run)
        try:
            flow: Flow[..., Any] = load_flow(flow_run)
        except Exception:
            logger.exception("The flow cannot be loaded")  # on the run's own page, where its reader looks
            raise
        know_related({f"flow.{flow_run.flow_id}": {"id": str(flow_run.flow_id), "name": flow.name}})
        if flow.isasync or flow.isgenerator:
            running = run_flow(flow, flow_run=flow_run, return_type="state")
            if inspect.iscoroutine(running):
                asyncio.run(running)
            return
        engine = WarmEngine[..., Any](flow=flow, flow_run=flow_run, parameters=flow_run.parameters)
        with engine.start():
            while engine.is_running():
                with engine.run_context():
                    engine.call_flow_fn()


def _prepare(prefect: SyncClientContext) -> None:
    """What the run would wait for otherwise: the threads that tell its events and logs, and the first time of everything."""
    if get_current_settings().client.csrf_support_enabled:
        _learn_token(prefect)
    EventsWorker.instance()
    if get_current_settings().logging.to_api.enabled:
        APILogWorker.instance()
    rehearse()


def _learn_token(prefect: SyncClientContext) -> None:
    """The client asks before its first change whether the server wants a token with it. One that is away, the run finds."""
    with contextlib.suppress(httpx.HTTPError):
        prefect.client.request("POST", "/flow_runs/count", json={"flow_runs": {"id": {"any_": [str(UUID(int=0))]}}})
