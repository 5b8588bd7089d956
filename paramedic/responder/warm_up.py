"""Warm-up: one invisible run before the real one, because everything takes twice as long the first time."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import httpx
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_KEY, PREFECT_API_URL, temporary_settings
from prefect.states import Scheduled
from pydantic import BaseModel

from paramedic.machine.clock import iso, utc_now
from paramedic.responder.prefect_shortcuts import WarmEngine, client_context, tls

log = logging.getLogger(__name__)


class Part(BaseModel):
    """As a playbook's only parameter."""

    incident: str
    attempt: int


@task(retries=0, timeout_seconds=30, cache_policy=NO_CACHE, persist_result=False)
def _look(attempt: int) -> None:
    """Nothing."""


@flow(name="rehearsal", retries=0, persist_result=False, result_storage=Path("rehearsal"), validate_parameters=True)
def _play(run: Part) -> None:
    _look(run.attempt)


def rehearse() -> bool:
    """Run the engine of a run and of a step once. Nothing reaches Prefect: no call, no event, no log.

    Returns whether it succeeded. Never raises: another version of Prefect may need something else.
    """
    try:
        _rehearse()
    except Exception:  # whatever it was: the run that comes begins Prefect's own way
        log.warning("the rehearsal failed: the run begins Prefect's own way", exc_info=True)
        return False
    return True


def _rehearse() -> None:
    part = {"run": {"incident": "none", "attempt": 1}}
    run = FlowRun(id=UUID(int=1), flow_id=UUID(int=2), name="rehearsal", state=Scheduled(), parameters=part)
    no_events = {PREFECT_API_URL: None, PREFECT_API_KEY: "none"}
    nobody = client_context({"transport": _Nobody(run), "verify": tls()})
    with _silence(), nobody, temporary_settings(no_events):
        engine = _RehearsalEngine(flow=_play, flow_run=run, parameters=part)
        with engine.start():
            while engine.is_running():
                with engine.run_context():
                    engine.call_flow_fn()


@contextmanager
def _silence() -> Iterator[None]:
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


class _RehearsalEngine(WarmEngine[[Part], None]):
    """Does not report how it ended: Prefect notes that for the process, which would end with 0 whatever became of its run."""

    def _report_attempt_conclusion(self) -> None:
        pass


class _Nobody(httpx.BaseTransport):
    """A fake Prefect API that accepts everything."""

    def __init__(self, run: FlowRun) -> None:
        self._run = run.model_dump(mode="json")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Accept every state, return the run, and nothing else."""
        if request.url.path.endswith("/set_state"):
            state = json.loads(request.content)["state"] | {"timestamp": iso(utc_now())}
            self._run |= {"state": state, "state_type": state["type"], "state_name": state["name"]}
            payload = {"state": state, "status": "ACCEPT", "details": {"type": "accept_details"}}
            return httpx.Response(201, json=payload, request=request)
        if "/flow_runs/" in request.url.path:
            return httpx.Response(200, json=self._run, request=request)
        return httpx.Response(404, request=request)
