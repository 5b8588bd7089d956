"""A warm process: has connected to Prefect and the store, is warmed up, waits for one flow run, runs it, and ends."""

import gc
import importlib
import json
import logging
import os
import socket
from contextlib import closing
from typing import Any

from prefect.client.schemas.objects import FlowRun
from prefect.context import refresh_global_settings_context
from prefect.engine import handle_engine_signals
from prefect.flow_engine import load_flow
from prefect.flows import Flow
from prefect.logging.loggers import flow_run_logger

from paramedic.machine.readable import readable
from paramedic.responder import unloadable
from paramedic.responder.run_start import RunStart
from paramedic.responder.shortcut_check import SHORTENED, VARIABLE
from paramedic.settings import load_settings
from paramedic.store import Store

log = logging.getLogger(__name__)

#: Whoever has no run after so long was not made for one, and has time to prepare.
_IDLE_SECONDS = 0.05

#: So many new objects are a reason for the garbage collector to look among them; Python's own 700 are there after one call.
_YOUNG = 10_000


def serve(channel: socket.socket) -> None:
    """Run the order in the channel: one JSON object, `{"flow_run", "env", "related"}`; without one, return.

    A failed run is not a failure of its process, which ends with 0.
    """
    start = run_start()()
    with start.opened():
        if not readable([channel], _IDLE_SECONDS):  # nobody waits
            start.prepare()
        importlib.import_module("tasks.run_cache").open_ways()
        gc.freeze()  # what was prepared is no garbage, and a look at it would come while an alert waits
        gc.set_threshold(_YOUNG, 10, 10)
        with channel:
            received = b"".join(iter(lambda: channel.recv(65536), b""))
        if not received:
            return
        order = json.loads(received)
        os.environ.update(order["env"])
        if any(name.startswith("PREFECT_") and not name.startswith("PREFECT__") for name in order["env"]):
            refresh_global_settings_context()  # Prefect read its settings when it was imported
        start.prefetch(order["flow_run"], order["related"])
        run(FlowRun.model_validate(order["flow_run"]), start)


def run_start() -> type[RunStart]:
    """How this process begins its run, by what the responder has found out about Prefect."""
    if os.environ.get(VARIABLE) != "true":
        return RunStart
    start: type[RunStart] = importlib.import_module(SHORTENED).ShortenedStart
    return start


def run(flow_run: FlowRun, start: RunStart) -> None:
    """Run it as `python -m prefect.engine` does."""
    with handle_engine_signals(flow_run.id):
        logger = flow_run_logger(flow_run)
        try:
            flow: Flow[..., Any] = load_flow(flow_run)
        except Exception as error:
            logger.exception("The flow cannot be loaded")  # on the run's own page, where its reader looks
            _hand_over(flow_run, error)
            raise
        start.run(flow, flow_run)


def _hand_over(flow_run: FlowRun, error: Exception) -> None:
    """Tell a person. Where the store does not answer, the watchdog finds the crashed run."""
    try:
        with closing(Store(load_settings().store())) as store:
            unloadable.hand_over(store, str(flow_run.id), flow_run.parameters, error)
    except Exception:  # the load's own error must be the one that ends the run
        log.exception("the run's incident could not be handed over")
