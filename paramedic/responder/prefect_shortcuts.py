"""The shortened start of a run, without the calls that Prefect's engine makes before the first line and need not.

Everything stays as Prefect has it: the same calls reach the server, some of them later. docs/latency.md has the budget.
"""

import contextlib
import contextvars
import functools
import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, ParamSpec, Self, TypeVar
from urllib.request import getproxies, proxy_bypass

import certifi
import httpx
from prefect._flow_run_suspension import (
    FlowRunSuspensionRequest,
    observe_flow_run_suspension,
    register_flow_run_suspension_request,
)
from prefect.context import SyncClientContext
from prefect.events.related import RESOURCE_CACHE
from prefect.flow_engine import FlowRunEngine
from prefect.settings import get_current_settings
from prefect.types._datetime import now

from paramedic.transports.http_retry import RetryOn503

P = ParamSpec("P")
R = TypeVar("R")

_RUN = re.compile(r".*/flow_runs/(?P<id>[0-9a-f-]{36})(?P<rest>/set_state)?$")


class PrefetchedRun(RetryOn503):
    """A transport to Prefect that knows the run of this process.

    The engine sends the run's retry policy before it asks to start it, and reads the run again when it has started. The
    first is sent before the run's next state instead, when it is first needed; the second is answered from the server's
    last answer.
    """

    def __init__(self) -> None:
        super().__init__(verify=tls(), retries=3, http2=get_current_settings().api.enable_http2)
        self._run: dict[str, Any] = {}
        self._started: dict[str, Any] | None = None
        self._later: httpx.Request | None = None

    def set_run(self, run: dict[str, Any]) -> None:
        """Set the run, as Prefect returned it."""
        self._run = run

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, or put it off. Raises what httpx raises."""
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
            payload = answer.json()
            if payload["status"] == "ACCEPT":
                self._started = self._run = _running(self._run, payload["state"])
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


def client_settings() -> tuple[PrefetchedRun | None, dict[str, Any]]:
    """The arguments for Prefect's client. Behind a proxy, httpx's own transport must find it."""
    url = httpx.URL(get_current_settings().api.url or "")
    if url.scheme in getproxies() and not proxy_bypass(url.host):
        return None, {"verify": tls()}
    known = PrefetchedRun()
    return known, {"transport": known, "verify": tls()}


def client_context(settings: dict[str, Any]) -> SyncClientContext:
    """Prefect's client for the whole process: every request for one, without settings, returns it."""
    context = SyncClientContext(httpx_settings=settings)
    context._httpx_settings = None  # noqa: SLF001 - else each result store, each artifact makes a client: 10 ms
    return context


def know_related(related: dict[str, dict[str, Any]]) -> None:
    """What an event of the run names besides it, by Prefect's own key `KIND.ID`: `id`, `name`, `tags` of each.

    Prefect's events ask the server for each of them otherwise, in every process, while the first step begins.
    """
    for key, fields in related.items():
        kind = key.split(".", 1)[0]
        entry = {"kind": kind, "object": SimpleNamespace(**fields)}
        RESOURCE_CACHE[key] = (entry, now("UTC"))  # type: ignore[assignment] # of the object it reads these fields alone


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
    """Prefect's engine, which starts in parallel what the run need not wait for: the watch and the heartbeats.

    The watch sees whether the run is suspended from outside. A suspension before that is in the answer to the request to
    start, or in the watch's own first look. Heartbeats come as often as Prefect's, and their end is not waited for: Prefect
    joins a thread that sleeps for a second.
    """

    heartbeat_seconds = None

    @contextlib.contextmanager
    def run_context(self) -> Iterator[Self]:
        """As Prefect's, with our heartbeats."""
        with super().run_context():
            beats = _Beside(self._beat)
            try:
                yield self
            finally:
                beats.end()

    def _beat(self, done: threading.Event) -> None:
        every = get_current_settings().flows.heartbeat_frequency
        while every is not None:
            with contextlib.suppress(Exception):  # as Prefect: the next one may come through
                self._emit_flow_run_heartbeat()
            if done.wait(every):
                return

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
            watch = _Beside(functools.partial(_watch, observe_flow_run_suspension(self.flow_run.id, request)))
            try:
                request.raise_if_requested()
                yield request
            finally:
                watch.end()


def _watch(observer: contextlib.AbstractContextManager[None], done: threading.Event) -> None:
    with observer:
        done.wait()


class _Beside:
    """Does something in a thread of its own, from _BESIDE_AFTER_SECONDS on, until it is over."""

    def __init__(self, work: Callable[[threading.Event], None]) -> None:
        self._done = threading.Event()
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._work, work), daemon=True)
        self._thread.start()

    def _work(self, work: Callable[[threading.Event], None]) -> None:
        if not self._done.wait(_BESIDE_AFTER_SECONDS):
            work(self._done)

    def end(self) -> None:
        self._done.set()
        self._thread.join(timeout=3)


#: A run that is over sooner needs neither, and in a storm the calls with which one begins come after all first steps.
_BESIDE_AFTER_SECONDS = 5.0
