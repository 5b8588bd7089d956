"""The start of a run, shortened: what Prefect's engine asks or tells before the first line although it need not.

Everything stays as Prefect has it: the same calls reach the server, some of them later. docs/latency.md has the budget.
"""

import contextlib
import contextvars
import functools
import json
import re
import ssl
import threading
from collections.abc import Iterator
from typing import Any, ParamSpec, TypeVar
from urllib.request import getproxies, proxy_bypass

import certifi
import httpx
from prefect._flow_run_suspension import (
    FlowRunSuspensionRequest,
    observe_flow_run_suspension,
    register_flow_run_suspension_request,
)
from prefect.flow_engine import FlowRunEngine
from prefect.settings import get_current_settings

from paramedic.patient import Patient

P = ParamSpec("P")
R = TypeVar("R")

_RUN = re.compile(r".*/flow_runs/(?P<id>[0-9a-f-]{36})(?P<rest>/set_state)?$")


class KnownRun(Patient):
    """A process's way to Prefect, which knows the run that the process was given.

    The engine tells the run's retry policy before it asks to start it, and reads the run again when it has started. The
    first is sent before the run's next state instead, when somebody first needs it; the second is answered from what the
    server has just said.
    """

    def __init__(self) -> None:
        super().__init__(verify=tls(), retries=3, http2=get_current_settings().api.enable_http2)
        self._run: dict[str, Any] = {}
        self._started: dict[str, Any] | None = None
        self._later: httpx.Request | None = None

    def told(self, run: dict[str, Any]) -> None:
        """The run, as Prefect gave it."""
        self._run = run

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it, or not yet. Raises what httpx raises."""
        about = _RUN.match(request.url.path)
        if about is None or about["id"] != self._run.get("id"):
            return super().handle_request(request)
        if request.method == "PATCH" and self._started is None and self._later is None:
            self._later = request
            self._run |= json.loads(request.content)
            return httpx.Response(204, request=request)
        if request.method == "GET" and self._started is not None:
            run, self._started = self._started, None
            return httpx.Response(200, json=run, request=request)
        if about["rest"]:
            return self._set_state(request)
        return super().handle_request(request)

    def _set_state(self, request: httpx.Request) -> httpx.Response:
        starts = json.loads(request.content)["state"]["type"] == "RUNNING"
        if not starts and self._later is not None:
            later, self._later = self._later, None
            super().handle_request(later).close()
        answer = super().handle_request(request)
        if starts and answer.is_success:
            answer.read()
            said = answer.json()
            if said["status"] == "ACCEPT":
                self._started = self._run = _running(self._run, said["state"])
        return answer


@functools.cache
def tls() -> ssl.SSLContext:
    """What Prefect's client would make for its address, made once: it takes 30 ms, and survives a fork."""
    api = get_current_settings().api
    context = ssl.create_default_context(cafile=api.ssl_cert_file or certifi.where())
    if api.tls_insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def client_settings() -> tuple[KnownRun | None, dict[str, Any]]:
    """What to make Prefect's client with. Where a proxy lies before Prefect, httpx's own transport must find it."""
    url = httpx.URL(get_current_settings().api.url or "")
    if url.scheme in getproxies() and not proxy_bypass(url.host):
        return None, {"verify": tls()}
    known = KnownRun()
    return known, {"transport": known, "verify": tls()}


def _running(run: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """The run as it stands once the server has accepted that it is Running."""
    return run | {
        "state": state,
        "state_id": state["id"],
        "state_type": state["type"],
        "state_name": state["name"],
        "run_count": (run.get("run_count") or 0) + 1,
        "start_time": run.get("start_time") or state["timestamp"],
    }


class WarmEngine(FlowRunEngine[P, R]):
    """Prefect's engine, which does not wait until somebody watches whether the run is suspended from outside.

    The watch begins beside the run. A suspension before that is in the answer to the request to start, or in the watch's
    own first look.
    """

    @contextlib.contextmanager
    def setup_flow_run_suspension_request(self) -> Iterator[FlowRunSuspensionRequest]:
        """As Prefect's, without the wait."""
        if self.flow_run is None:
            raise ValueError("Flow run not set")
        request = self._get_flow_run_suspension_request()
        with register_flow_run_suspension_request(self.flow_run.id, request):
            if self.flow_run.deployment_id is None:
                yield request
                return
            watch = _Beside(observe_flow_run_suspension(self.flow_run.id, request))
            try:
                request.raise_if_requested()
                yield request
            finally:
                watch.end()


class _Beside:
    """Enters a context manager in a thread, and leaves it there."""

    def __init__(self, manager: contextlib.AbstractContextManager[None]) -> None:
        self._manager = manager
        self._done = threading.Event()
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._watch,), name="suspension", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        if not self._done.wait(_WATCH_AFTER_SECONDS):
            with self._manager:
                self._done.wait()

    def end(self) -> None:
        self._done.set()
        self._thread.join(timeout=3)


#: A run that is over sooner needs no watch, and in a storm the calls with which one begins come after all first steps.
_WATCH_AFTER_SECONDS = 5.0
