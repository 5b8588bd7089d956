"""/metrics and /healthz of a process that is no gateway, in a thread of its own: nothing that it does waits for a scrape."""

import logging
import threading
from collections.abc import Callable, Mapping

import uvicorn
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import SecretStr
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from paramedic.machine import ports
from paramedic.serving.auth import sender
from paramedic.serving.connections import BACKLOG, Door, protocol, prove
from paramedic.serving.hosts import HostGuard
from paramedic.serving.metrics_ports import METRICS_PORTS
from paramedic.settings import Settings

log = logging.getLogger(__name__)

#: What is written in Prometheus's text format.
CONTENT_TYPE = "text/plain; version=0.0.4"

#: So many files are thought of: some connections of strangers, and some of those that are known.
_FILES = 600

#: A process whose main loop has been silent for this long does not answer that it is well.
_SILENT_SECONDS = 60.0

#: A port that is taken is tried again.
_AGAIN_SECONDS = 10.0


class Exposition:
    """Serves the registries of a process, to whoever could send alerts."""

    def __init__(
        self,
        settings: Settings,
        role: str,
        registries: list[CollectorRegistry],
        silent_seconds: Callable[[], float | None],
    ) -> None:
        """`role`: one of METRICS_PORTS. `silent_seconds`: since the last sign of life of the main loop; None before the first."""
        self._settings = settings
        self._role = role
        self._registries = registries
        self._silent_seconds = silent_seconds
        self._stop = threading.Event()
        self._server: uvicorn.Server | None = None

    def start(self) -> None:
        """Serve from now on, if the settings say where; a port that somebody else has is tried again, and logged."""
        if self._settings.metrics_port is not None:
            threading.Thread(target=self._run, name="metrics", daemon=True).start()

    def stop(self) -> None:
        """Take no more requests."""
        self._stop.set()
        if self._server is not None:
            self._server.should_exit = True

    def app(self) -> ASGIApp:
        """The application: GET /metrics, with a token, and GET /healthz."""
        settings = self._settings
        inner = _App(settings.gateway_tokens, settings.gateway_users, self._metrics, self._health)
        return HostGuard(inner, settings)

    def _run(self) -> None:
        port = (self._settings.metrics_port or 0) + METRICS_PORTS[self._role]
        while not self._stop.is_set():
            try:
                sockets = ports.listening_sockets(self._settings.host, port)
            except OSError as error:
                log.warning("the metrics of this %s are not served: port %d: %s", self._role, port, error)
            else:
                config = uvicorn.Config(
                    self.app(),
                    http=protocol(Door(_FILES)),
                    ws="none",
                    lifespan="off",
                    backlog=BACKLOG,
                    proxy_headers=False,
                    server_header=False,
                    log_config=None,
                    log_level="warning",
                    access_log=False,
                )
                self._server = uvicorn.Server(config)
                self._server.run(sockets=sockets)
            self._stop.wait(_AGAIN_SECONDS)

    def _metrics(self) -> bytes:
        return b"".join(generate_latest(registry) for registry in self._registries)

    def _health(self) -> str | None:
        silent = self._silent_seconds()
        if silent is None:
            return "it is starting"
        return f"its main loop has been silent for {silent:.0f} s" if silent > _SILENT_SECONDS else None


class _App:
    """Two addresses, and nothing else."""

    def __init__(
        self,
        tokens: Mapping[str, SecretStr],
        users: Mapping[str, SecretStr],
        metrics: Callable[[], bytes],
        health: Callable[[], str | None],
    ) -> None:
        self._tokens = tokens
        self._users = users
        self._metrics = metrics
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive, send)
        answer: Response
        match request.method, request.url.path:
            case "GET", "/healthz":
                complaint = self._health()
                answer = PlainTextResponse(
                    "ok\n" if complaint is None else f"{complaint}\n", 200 if complaint is None else 503
                )
            case "GET", "/metrics":
                answer = await self._scraped(request)
            case _:
                answer = PlainTextResponse("there are GET /metrics and GET /healthz\n", 404)
        await answer(scope, receive, send)

    async def _scraped(self, request: Request) -> Response:
        if sender(request.headers.get("authorization"), self._tokens, self._users) is None:
            return PlainTextResponse(
                "unknown sender; allowed: a bearer token (gateway_tokens), or basic auth (gateway_users)\n", 401
            )
        prove(request.scope)
        text = await run_in_threadpool(self._metrics)
        return Response(text, media_type=CONTENT_TYPE)
