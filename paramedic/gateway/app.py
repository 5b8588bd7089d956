"""The gateway's addresses. A 202 means: on disk."""

import logging
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from paramedic.alerts.alert import Status
from paramedic.errors import Refused
from paramedic.gateway import identity, metrics
from paramedic.gateway.acknowledgement import AcknowledgementDesk
from paramedic.gateway.approving import ApprovalDesk
from paramedic.gateway.auth import sender
from paramedic.gateway.body import Bodies, BodyRefused, NoRoom
from paramedic.gateway.connections import prove
from paramedic.gateway.form import Forms
from paramedic.gateway.group_commit import GroupCommit, QueueFull
from paramedic.gateway.headers import SafeHeaders
from paramedic.gateway.readiness import Readiness
from paramedic.gateway.refusal import RefusalLog, refused
from paramedic.intake.intake import Wake
from paramedic.keys import link_key
from paramedic.machine.kill_points import reached
from paramedic.settings import Settings, web_address
from paramedic.sources import BadPayload, alertmanager
from paramedic.store import Store, StoreUnavailable, StoreUnknown, heartbeats, inbox, messages
from paramedic.store.inbox import Delivery, Unreadable
from paramedic.text.redaction import redact

log = logging.getLogger(__name__)

_SAID: dict[int | str, dict[str, Any]] = {
    202: {"description": "Every alert is on disk; the receipts are in the alerts' order."},
    400: {"description": "The body is no JSON. It is kept, and a person is told."},
    401: {"description": "Nobody we know."},
    408: {"description": "The body did not come in time. What came is kept in brief, and a person is told."},
    413: {"description": "The body is larger than body_limit. Its beginning is kept, and a person is told."},
    415: {"description": "The body is compressed otherwise than by gzip."},
    422: {"description": "JSON of another shape. It is kept, and a person is told."},
    503: {"description": "It could not be written. Send it again."},
}

_BODY = {
    "requestBody": {
        "required": True,
        "description": "Alertmanager's webhook, version 3 or 4, or one bare alert.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}

_HEARTBEAT = re.compile(r"[A-Za-z0-9._-]{1,100}")


_ALERTS = "/alerts/alertmanager"

#: A body of so many bytes is read at once. A larger one is read in a thread, one at a time: others are answered meanwhile.
_QUICK = 128 * 1024


def make_app(
    settings: Settings,
    store: Store,
    *,
    wake: Wake,
    alive: Callable[[], bool],
    patience: timedelta = timedelta(seconds=30),
) -> ASGIApp:
    """The application.

    `wake` is set after each commit; `alive` says whether triage works; `patience` is how long a body may take to come.
    """
    # No redirect: its Location would be made of the Host header.
    app = FastAPI(title="Paramedic", docs_url=None, redoc_url=None, redirect_slashes=False)
    senders = Senders(settings)
    readiness = Readiness(store, alive)
    alerts = AlertEndpoint(settings, store, senders, wake, patience, readiness)
    app.add_exception_handler(StarletteHTTPException, _no_address)
    app.add_api_route(
        _ALERTS,
        alerts.take,
        methods=["POST"],
        status_code=202,
        responses=_SAID,
        openapi_extra=_BODY,
    )
    beats = HeartbeatDesk(senders, store, readiness)
    app.add_api_route(
        "/heartbeats/{name}",
        beats.take,
        methods=["POST"],
        status_code=202,
        responses={**{code: _SAID[code] for code in (401, 422, 503)}, 202: {"description": "It is on disk."}},
    )
    app.add_api_route(identity.PATH, IdentityDesk(settings).prove, methods=["GET"], include_in_schema=False)
    health = HealthDesk(store, readiness)
    app.add_api_route("/healthz", health.healthz, methods=["GET"])
    app.add_api_route("/readyz", health.readyz, methods=["GET"])
    app.add_api_route("/metrics", health.metrics, methods=["GET"])
    forms = Forms(settings)
    links = AcknowledgementDesk(settings, store, forms)
    app.add_api_route("/ack/{token}", links.show, methods=["GET"], include_in_schema=False)
    app.add_api_route("/ack/{token}", links.acknowledge, methods=["POST"], include_in_schema=False)
    approvals = ApprovalDesk(settings, store, forms)
    app.add_api_route("/approve/{token}", approvals.show, methods=["GET"], include_in_schema=False)
    app.add_api_route("/approve/{token}", approvals.decide, methods=["POST"], include_in_schema=False)
    return SafeHeaders(Shortcut(app, alerts.take))


class Shortcut:
    """Calls the endpoint of the alerts itself: of what lies between, middleware, router and FastAPI, nothing is needed.

    All that costs more than reading the alert and committing it. The route is there for whoever reads the schema, and for
    every other method.
    """

    def __init__(self, app: ASGIApp, take: Callable[[Request], Awaitable[Response]]) -> None:
        self._app = app
        self._take = take

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a POST of alerts, and pass on everything else."""
        if scope["type"] == "http" and scope["path"] == _ALERTS and scope["method"] == "POST":
            answer = await self._take(Request(scope, receive, send))
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _no_address(_: Request, error: Exception) -> Response:
    """No such address, or not by this method."""
    if not isinstance(error, StarletteHTTPException):
        raise error
    what = "is no address of this gateway" if error.status_code == 404 else str(error.detail)
    allowed = (error.headers or {}).get("Allow") or "POST /alerts/alertmanager, POST /heartbeats/NAME, GET /healthz"
    answer = refused(error.status_code, "no address", field="path", what=what, allowed=allowed)
    answer.headers.update(error.headers or {})
    return answer


class Senders:
    """Knows who sends, and logs who is refused."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._log = RefusalLog()

    def known(self, request: Request) -> str | None:
        """The sender's name, or None; the connection of one who is known gives way to no stranger's."""
        header = request.headers.get("authorization")
        who = sender(header, self._settings.gateway_tokens, self._settings.gateway_users)
        if who is None:
            self._log.note(request)
        else:
            prove(request.scope)
        return who


class AlertEndpoint:
    """Takes alerts in."""

    def __init__(  # noqa: PLR0917 - what it takes alerts with
        self,
        settings: Settings,
        store: Store,
        senders: Senders,
        wake: Wake,
        patience: timedelta,
        readiness: Readiness,
    ) -> None:
        self._settings = settings
        self._readiness = readiness
        self._senders = senders
        self._wake = wake
        self._bodies = Bodies(settings.body_limit, patience)
        self._commits = GroupCommit(store, _committed)
        self._reading = CapacityLimiter(1)
        self._quarantined = metrics.QUARANTINED.labels(alertmanager.NAME)
        self._truncated = metrics.TRUNCATED.labels(alertmanager.NAME)
        self._taken = {status: metrics.ALERTS.labels(alertmanager.NAME, status.value) for status in Status}

    async def take(self, request: Request) -> Response:
        """An Alertmanager webhook, version 3 or 4. The sender is known before a byte of the body is read."""
        who = self._senders.known(request)
        if who is None:
            return refused(401, "unknown sender", what="unknown sender", allowed="a bearer token or basic auth")
        try:
            async with self._bodies.receive(request, who) as body:
                return await self._keep(body, who)
        except NoRoom:
            return refused(503, "busy", what="too many large bodies are under way", allowed="send it again")
        except BodyRefused as error:
            return await self._refuse(error, who)

    async def _refuse(self, error: BodyRefused, who: str) -> Response:
        """What a known sender could not bring in is kept in brief, and a person is told."""
        log.warning("not taken from %s: %s", who, error)
        bad = [Unreadable(error.beginning, str(error))]
        kept = inbox.prepare((), source=alertmanager.NAME, sender=who, bad=bad, keep=self._settings.quarantine_limit)
        try:
            await self._commits.commit(kept)
            self._quarantined.inc()
        except (StoreUnavailable, StoreUnknown, QueueFull) as trouble:
            log.warning("nor could it be kept: %s", trouble)
        return refused(error.status, error.reason, field="body", what=error.what, allowed=error.allowed)

    async def _keep(self, body: bytes, who: str) -> Response:
        began = time.perf_counter()
        if len(body) <= _QUICK:
            taken = self._read(body, who)
        else:
            taken = await to_thread.run_sync(self._read, body, who, limiter=self._reading)
        try:
            await self._commits.commit(taken.delivery)
        except QueueFull:
            return refused(503, "busy", what="too much waits for its commit", allowed="send them again")
        except (StoreUnavailable, StoreUnknown) as error:
            log.warning("not taken: %s", error)
            self._readiness.refused()
            return refused(503, "store", what="the alerts could not be written", allowed="send them again")
        self._readiness.taken()
        metrics.TOOK.observe(time.perf_counter() - began)
        self._quarantined.inc(taken.quarantined)
        self._truncated.inc(taken.delivery.truncated)
        for status, count in taken.statuses.items():
            self._taken[status].inc(count)
        self._wake.set(critical=taken.delivery.is_critical)
        problem = taken.problem
        if problem is not None:
            status_code = 422 if problem.readable else 400
            return refused(status_code, "unreadable", field=problem.field, what=problem.what, allowed=problem.allowed)
        said = {"receipts": taken.delivery.receipts, "quarantined": taken.quarantined}
        return JSONResponse(said, status_code=202)

    def _read(self, body: bytes, who: str) -> "_Taken":
        """All that is to be done before a transaction begins."""
        problem: BadPayload | None = None
        truncated = 0
        try:
            reading = alertmanager.read(body)
            truncated = reading.truncated
            alerts, bad = reading.alerts, [Unreadable(one.body, one.error) for one in reading.bad]
            quarantined = sum(one.count for one in reading.bad)
        except BadPayload as error:
            problem, alerts, quarantined = error, (), 1
            bad = [Unreadable(body.decode("utf-8", "backslashreplace"), str(error))]
        delivery = inbox.prepare(
            alerts,
            source=alertmanager.NAME,
            sender=who,
            bad=bad,
            keep=self._settings.quarantine_limit,
            truncated=truncated,
        )
        return _Taken(delivery, problem, quarantined, Counter(alert.status for alert in alerts))


@dataclass(frozen=True, slots=True)
class _Taken:
    """One body, read."""

    delivery: Delivery
    problem: BadPayload | None
    quarantined: int
    statuses: Mapping[Status, int]


def _committed(delivery: Delivery) -> None:
    if delivery.first is not None:
        reached("alert_committed", delivery.first)


class HeartbeatDesk:
    """Hears that somebody else is well."""

    def __init__(self, senders: Senders, store: Store, readiness: Readiness) -> None:
        self._senders = senders
        self._readiness = readiness
        self._store = store

    async def take(self, name: str, request: Request) -> Response:
        """One heartbeat, from a sender that may send alerts too. Its body, if it has one, is not looked at."""
        who = self._senders.known(request)
        if who is None:
            return refused(401, "unknown sender", what="unknown sender", allowed="a bearer token or basic auth")
        if not _HEARTBEAT.fullmatch(name):
            await run_in_threadpool(self._tell, f"{name!r:.120} is no name", who)
            return refused(422, "unreadable", field="name", what="no name", allowed="up to 100 letters, digits, . _ -")
        return await run_in_threadpool(self._keep, name, who)

    def _keep(self, name: str, who: str) -> Response:
        try:
            with self._store.write() as tx:
                heartbeats.beat(tx, name, sender=who)
        except Refused as error:
            self._tell(f"{name}: {error.reason}", who)
            return refused(422, "too many", field="name", what=error.reason, allowed="a name that is known already")
        except (StoreUnavailable, StoreUnknown) as error:
            log.warning("a heartbeat was not taken: %s", error)
            self._readiness.refused()
            return refused(503, "store", what="the heartbeat could not be written", allowed="send it again")
        return JSONResponse({"heard": name}, status_code=202)

    def _tell(self, why: str, who: str) -> None:
        """A job that believes it is watched, and is not, is a person's to mend."""
        try:
            with self._store.write() as tx:
                messages.queue_trouble(
                    tx,
                    subject="A heartbeat was refused",
                    body=f"{redact(why)}\n\nIt was sent by {who}. Nobody will miss it when it stays away.",
                    same_within_minutes=60,
                )
        except (StoreUnavailable, StoreUnknown) as error:
            log.warning("a refused heartbeat could not be told: %s", error)


class IdentityDesk:
    """Proves to who has the data folder's key that this is its gateway."""

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
            log.warning("no proof: %s", error)
            return PlainTextResponse("no key\n", status_code=503)


class HealthDesk:
    """Says how the gateway is."""

    def __init__(self, store: Store, readiness: Readiness) -> None:
        self._store = store
        self._readiness = readiness

    async def healthz(self) -> PlainTextResponse:
        """The process answers, even while every thread waits for the store."""
        return PlainTextResponse("ok\n")

    def readyz(self) -> PlainTextResponse:
        """Alerts can be taken, which a commit has shown, and are worked on."""
        complaint = self._readiness.complaint()
        return PlainTextResponse("ok\n") if complaint is None else PlainTextResponse(f"{complaint}\n", 503)

    def metrics(self) -> Response:
        """For Prometheus."""
        try:
            with self._store.read() as tx:
                waiting, oldest = inbox.depth(tx)
                metrics.INBOX.set(waiting)
                metrics.INBOX_AGE.set((tx.now - oldest).total_seconds() if oldest else 0)
        except (StoreUnavailable, StoreUnknown) as error:
            log.warning("the inbox cannot be counted: %s", error)
        return Response(generate_latest(metrics.registry), media_type="text/plain; version=0.0.4")
