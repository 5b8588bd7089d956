"""The gateway's application: its routes and middleware. A 202 means durable."""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import ModuleType
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from paramedic.gateway import deployments, identity, not_now
from paramedic.gateway.acknowledgement import AcknowledgementEndpoint
from paramedic.gateway.alerts import AlertEndpoint, AlertIntake
from paramedic.gateway.approval_link import ApprovalEndpoint
from paramedic.gateway.body import Bodies
from paramedic.gateway.deployments import DeploymentEndpoint
from paramedic.gateway.form import Forms
from paramedic.gateway.headers import SafeHeaders
from paramedic.gateway.health import HealthEndpoint
from paramedic.gateway.heartbeats import HeartbeatEndpoint
from paramedic.gateway.own_mappings import Endpoint, OwnMappings
from paramedic.gateway.readiness import Readiness
from paramedic.gateway.refusal import refused
from paramedic.gateway.senders import Senders
from paramedic.gateway.silence_link import SilenceEndpoint
from paramedic.gateway.stray import StrayDeliveries
from paramedic.gateway.tiers import ServiceTiers
from paramedic.intake.intake import Wake
from paramedic.keys import link_key
from paramedic.kinds import registry
from paramedic.kinds.faces import Source
from paramedic.kinds.registry import Room
from paramedic.settings import Settings, web_address
from paramedic.store import Store

log = logging.getLogger(__name__)

_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"description": "Every alert is on disk; the receipts are in the alerts' order."},
    400: {"description": "The body is not JSON. It is quarantined, and a person is paged."},
    401: {"description": "Nobody we know."},
    408: {"description": "The body did not arrive in time. Its beginning is quarantined, and a person is paged."},
    413: {"description": "The body is larger than body_limit. Its beginning is quarantined, and a person is paged."},
    415: {"description": "The body is compressed otherwise than by gzip."},
    422: {"description": "JSON of another shape. It is quarantined, and a person is paged."},
    503: {"description": "It could not be written. Send it again."},
}

_ALERTS = "/alerts/"


def make_app(
    settings: Settings,
    store: Store,
    *,
    wake: Wake,
    alive: Callable[[], bool],
    body_timeout: timedelta = timedelta(seconds=30),
    tiers: ServiceTiers | None = None,
) -> ASGIApp:
    """The application.

    `wake` is set after each commit; `alive` says whether triage runs; `body_timeout` limits how long a body may take to arrive;
    `tiers` says how much customers depend on the service of an alert (None: every one is a standard one).
    """
    # No redirect: its Location would be made of the Host header.
    app = FastAPI(title="Paramedic", docs_url=None, redoc_url=None, redirect_slashes=False)
    senders = Senders(settings)
    readiness = Readiness(store, alive)
    intake = AlertIntake(settings, store, senders, wake, body_timeout, readiness, tiers or ServiceTiers())
    receiving = _add_sources(app, intake)
    names = [path.removeprefix(_ALERTS) for path in receiving]
    app.add_exception_handler(StarletteHTTPException, NoAddress(StrayDeliveries(intake, _ALERTS, names)))
    beats = HeartbeatEndpoint(senders, store, readiness)
    app.add_api_route(
        "/heartbeats/{name}",
        beats.receive,
        methods=["POST"],
        status_code=202,
        responses={**{code: _RESPONSES[code] for code in (401, 422, 503)}, 202: {"description": "It is on disk."}},
    )
    bodies = Bodies(deployments.BODY_LIMIT, body_timeout)
    _add_deployments(app, DeploymentEndpoint(senders, store, readiness, bodies, settings.sender_services))
    app.add_api_route(identity.PATH, ProofEndpoint(settings).prove, methods=["GET"], include_in_schema=False)
    _add_health(app, HealthEndpoint(senders, store, readiness))
    forms = Forms(settings)
    links = AcknowledgementEndpoint(settings, store, forms)
    app.add_api_route("/ack/{token}", links.show, methods=["GET"], include_in_schema=False)
    app.add_api_route("/ack/{token}", links.acknowledge, methods=["POST"], include_in_schema=False)
    silencing = SilenceEndpoint(settings, store, forms)
    app.add_api_route("/ack/silence/{token}", silencing.show, methods=["GET"], include_in_schema=False)
    app.add_api_route("/ack/silence/{token}", silencing.silence, methods=["POST"], include_in_schema=False)
    approvals = ApprovalEndpoint(settings, store, forms)
    app.add_api_route("/approve/{token}", approvals.show, methods=["GET"], include_in_schema=False)
    app.add_api_route("/approve/{token}", approvals.decide, methods=["POST"], include_in_schema=False)
    own = OwnMappings(settings.plugins, _ALERTS, receiving, lambda name, source: _endpoint(name, source, intake))
    return SafeHeaders(Shortcut(app, receiving, own))


def _add_sources(app: FastAPI, intake: AlertIntake) -> dict[str, Endpoint]:
    """Add a route for each kind of sender; returns the endpoints by path."""
    receiving: dict[str, Endpoint] = {}
    for name, source in registry.current().usable(Room.SOURCES).items():
        receiving[f"{_ALERTS}{name}"] = _endpoint(name, source, intake)
        app.add_api_route(
            f"{_ALERTS}{name}",
            _gone,
            methods=["POST"],
            status_code=202,
            responses=_RESPONSES,
            operation_id=f"alerts_{name}",
            openapi_extra=_body(source.BODY, source.EXAMPLE),
        )
    return receiving


def _add_health(app: FastAPI, health: HealthEndpoint) -> None:
    why = {"text/plain": {"schema": {"type": "string"}}}
    routes: list[tuple[str, Callable[..., Any], dict[int | str, dict[str, Any]]]] = [
        ("/healthz", health.healthz, {}),
        ("/readyz", health.readyz, {503: {"description": "Not now, and why.", "content": why}}),
        ("/metrics", health.metrics, {401: _RESPONSES[401]}),
    ]
    for path, answers, responses in routes:
        app.add_api_route(path, answers, methods=["GET"], response_class=PlainTextResponse, responses=responses)


def _add_deployments(app: FastAPI, telling: DeploymentEndpoint) -> None:
    app.add_api_route(
        deployments.PATH,
        telling.receive,
        methods=["POST"],
        status_code=201,
        responses=deployments.RESPONSES,
        operation_id="deployments",
        openapi_extra=deployments.openapi(),
    )


def _endpoint(name: str, source: ModuleType, intake: AlertIntake) -> Endpoint:
    return AlertEndpoint(name, cast("Source", source), intake).receive


async def _gone(request: Request) -> Response:  # noqa: ARG001 - the base's form
    """Answer an address that had a mapping when the gateway began: while it has one, the shortcut answers."""
    raise StarletteHTTPException(404)


class Shortcut:
    """Calls the alert endpoints directly, past middleware, router and FastAPI.

    Those cost more than reading the alert and committing it. The routes exist for the OpenAPI schema and for
    every other method.
    """

    def __init__(self, app: ASGIApp, endpoints: Mapping[str, Endpoint], own: OwnMappings) -> None:
        """`endpoints`, by path; `own` keeps them as a team's folder has them."""
        self._app = app
        self._endpoints = endpoints
        self._own = own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a POST of alerts, and pass on everything else."""
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        if is_post:
            self._own.look()
        if is_post and scope["path"] in self._endpoints:
            answer = await self._endpoints[scope["path"]](Request(scope, receive, send))
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _body(what: str, example: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}, "example": _parsed(example)}}
    return {"requestBody": {"required": True, "description": what, "content": content}}


def _parsed(example: str) -> Any:
    try:
        return json.loads(example)
    except ValueError:
        return example


def _allowed() -> str:
    alerts = [f"POST {_ALERTS}{name}" for name in registry.current().usable(Room.SOURCES)]
    return ", ".join([*alerts, "POST /heartbeats/NAME", "POST /deployments", "GET /healthz"])


class NoAddress:
    """Answers 404 or 405 in our own words."""

    def __init__(self, strays: StrayDeliveries) -> None:
        self._strays = strays

    async def __call__(self, request: Request, error: Exception) -> Response:
        """The answer; what a known sender meant as an alert is kept, and a person told."""
        if not isinstance(error, StarletteHTTPException):
            raise error
        if (later := await self._strays.keep(request)) is not None:
            return later
        what = "is not an address of this gateway" if error.status_code == 404 else "is not asked by this method"
        allowed = (error.headers or {}).get("Allow") or _allowed()
        answer = refused(error.status_code, "no address", field="path", what=what, allowed=allowed)
        answer.headers.update(error.headers or {})
        return answer


class ProofEndpoint:
    """Proves to a caller with the data folder's key that this is its gateway."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._addresses = {web_address(settings.host, settings.port), settings.links_at()}

    def prove(self, nonce: str = "", address: str = "") -> PlainTextResponse:
        """See `paramedic.gateway.identity`."""
        if not identity.NONCE.fullmatch(nonce) or address not in self._addresses:
            return PlainTextResponse("not an address of this gateway\n", status_code=404)
        try:
            return PlainTextResponse(identity.proof(link_key(self._settings), nonce, address))
        except OSError as error:
            log.warning("the gateway's identity cannot be proven: %s", error)
            return not_now.to_probe("no key")
