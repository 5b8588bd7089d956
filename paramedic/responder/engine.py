"""One warm process: imports everything, then waits for one flow run, runs it as Prefect's engine does, and ends."""

import asyncio
import importlib
import inspect
import json
import os
import pkgutil
import sys
from uuid import UUID

from prefect.context import refresh_global_settings_context
from prefect.engine import handle_engine_signals
from prefect.flow_engine import load_flow, load_flow_run, run_flow
from prefect.logging.loggers import flow_run_logger

from paramedic.secret import hush_logging
from paramedic.settings import ROOT


def main() -> None:
    """Wait on standard input for one line of JSON, `{"flow_run": id, "env": {...}}`; end of input means go home."""
    hush_logging()
    _warm()
    line = sys.stdin.readline()
    if not line.strip():
        return
    told = json.loads(line)
    os.environ.update(told["env"])
    refresh_global_settings_context()  # Prefect read its settings when it was imported
    run(UUID(told["flow_run"]))


def run(run_id: UUID) -> None:
    """Run it as `python -m prefect.engine` does; a run that ends red is no fault of its process, which ends with 0."""
    with handle_engine_signals(run_id):
        flow_run = load_flow_run(flow_run_id=run_id)
        logger = flow_run_logger(flow_run)
        try:
            flow = load_flow(flow_run)
        except Exception:
            logger.exception("The flow cannot be loaded")  # on the run's own page, where its reader looks
            raise
        running = run_flow(flow, flow_run=flow_run, return_type="state")
        if inspect.iscoroutine(running):
            asyncio.run(running)


def _warm() -> None:
    """What costs seconds, before anybody waits for it. A flow that cannot be imported fails when it is run, aloud."""
    sys.path.insert(0, str(ROOT))
    flows = importlib.import_module("flows")  # by name: the rooms above us are data here
    for module in sorted(found.name for found in pkgutil.iter_modules(flows.__path__)):
        try:
            importlib.import_module(f"flows.{module}")
        except Exception as error:  # noqa: BLE001 - somebody's flow: the others must run
            sys.stderr.write(f"flows/{module}.py cannot be imported: {type(error).__name__}: {error}\n")


if __name__ == "__main__":
    main()
