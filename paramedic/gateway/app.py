"""The gateway's addresses. A 202 means: on disk."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Annotated

from fastapi import FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import generate_latest
from starlette.concurrency import run_in_threadpool

from paramedic import link, settings
from paramedic.boundary import reached
from paramedic.gateway import metrics, pages
from paramedic.gateway.auth import sender
from paramedic.incident import IllegalMove
from paramedic.link import Acknowledgement, BadLink
from paramedic.settings import Settings
from paramedic.sources import BadPayload, alertmanager
from paramedic.store import Store, StoreUnavailable, inbox, incidents
from paramedic.store.incidents import NoSuchIncident
from paramedic.store.inbox import Unreadable

log = logging.getLogger(__name__)

_SAID = {
    202: {"description": "Every alert is on disk; the receipts are in the alerts' order."},
    400: {"description": "The body is no JSON. It is kept, and a person is told."},
    401: {"description": "Nobody we know."},
    413: {"description": "The body is larger than body_limit."},
    422: {"description": "JSON of another shape. It is kept, and a person is told."},
    503: {"description": "It could not be written. Send it again."},
}


class _TooLarge(Exception):
    """The body goes past the limit."""


def make_app(chosen: Settings, store: Store, *, wake: threading.Event, alive: Callable[[], bool]) -> FastAPI:
    """The application. `wake` is set after each commit; `alive` says whether triage works."""
    app = FastAPI(title="Paramedic", docs_url=None, redoc_url=None)

    def refuse(status: int, reason: str, **error: str) -> JSONResponse:
        metrics.REFUSED.labels(reason).inc()
        headers = {401: {"WWW-Authenticate": 'Bearer, Basic realm="paramedic"'}, 503: {"Retry-After": "5"}}.get(status)
        return JSONResponse({"error": error}, status_code=status, headers=headers)

    @app.post("/alerts/alertmanager", status_code=202, responses=_SAID)  # type: ignore[arg-type]
    async def take_alertmanager(request: Request, authorization: Annotated[str | None, Header()] = None) -> Response:
        """An Alertmanager webhook, version 3 or 4."""
        who = sender(authorization, chosen.gateway_tokens, chosen.gateway_users)
        if who is None:
            return refuse(401, "unknown sender", what="unknown sender", allowed="a bearer token or basic auth")
        try:
            body = await _body(request, chosen.body_limit)
        except _TooLarge:
            return refuse(413, "too large", field="body", what="too large", allowed=f"{chosen.body_limit} bytes")
        return await run_in_threadpool(keep, body, who)

    def keep(body: bytes, who: str) -> Response:
        began = time.perf_counter()
        problem: BadPayload | None = None
        try:
            reading = alertmanager.read(body)
            alerts, bad = reading.alerts, [Unreadable(one.body, one.error) for one in reading.bad]
        except BadPayload as error:
            problem, alerts = error, ()
            bad = [Unreadable(body.decode("utf-8", "backslashreplace"), str(error))]
        try:
            receipts = inbox.receive(
                store, alerts, source=alertmanager.NAME, sender=who, bad=bad, keep=chosen.quarantine_limit
            )
        except StoreUnavailable as error:
            log.warning("not taken: %s", error)
            return refuse(503, "store", what="the alerts could not be written", allowed="send them again")
        if alerts:
            reached("alert_committed", alerts[0].name)
        metrics.TOOK.observe(time.perf_counter() - began)
        metrics.QUARANTINED.labels(alertmanager.NAME).inc(len(bad))
        for alert in alerts:
            metrics.ALERTS.labels(alertmanager.NAME, alert.status.value).inc()
        wake.set()
        if problem is not None:
            status = 422 if problem.readable else 400
            return refuse(status, "unreadable", field=problem.field, what=problem.what, allowed=problem.allowed)
        return JSONResponse({"receipts": receipts, "quarantined": len(bad)}, status_code=202)

    @app.get("/healthz")
    def healthz() -> PlainTextResponse:
        """The process answers."""
        return PlainTextResponse("ok\n")

    @app.get("/readyz")
    def readyz() -> PlainTextResponse:
        """Alerts can be taken and are worked on."""
        try:
            with store.read():
                pass
        except StoreUnavailable as error:
            return PlainTextResponse(f"{error}\n", status_code=503)
        return PlainTextResponse("ok\n") if alive() else PlainTextResponse("triage has stopped\n", status_code=503)

    @app.get("/metrics")
    def show_metrics() -> Response:
        """For Prometheus."""
        try:
            with store.read() as tx:
                waiting, oldest = inbox.depth(tx)
                metrics.INBOX.set(waiting)
                metrics.INBOX_AGE.set((tx.now - oldest).total_seconds() if oldest else 0)
        except StoreUnavailable as error:
            log.warning("the inbox cannot be counted: %s", error)
        return Response(generate_latest(metrics.registry), media_type="text/plain; version=0.0.4")

    def asked(token: str) -> Acknowledgement | Response:
        try:
            said = link.read(settings.link_key(chosen), token, chosen.link_expires)
            if said.store != store.uuid:
                return pages.page("say", 410, title="Another store", words="This link is of a store that is gone.")
        except BadLink as error:
            return pages.page("say", 410, title="This link does not work", words=str(error))
        except StoreUnavailable:
            return pages.page("say", 503, title="Not now", words="The store does not answer. Try again in a minute.")
        return said

    @app.get("/ack/{token}", include_in_schema=False)
    def show_acknowledgement(token: str) -> Response:
        """A page with a button: looking at a link does nothing, because mail scanners look."""
        said = asked(token)
        if isinstance(said, Response):
            return said
        try:
            with store.read() as tx:
                incident = incidents.get(tx, said.incident)
        except (NoSuchIncident, StoreUnavailable) as error:
            return pages.page("say", 503, title="Not now", words=str(error))
        return pages.page("ask", title=f"{incident.id}: is it yours?", incident=incident, person=said.person)

    @app.post("/ack/{token}", include_in_schema=False)
    def acknowledge(token: str) -> Response:
        """The person has it."""
        said = asked(token)
        if isinstance(said, Response):
            return said
        try:
            with store.record() as tx:
                incident = incidents.acknowledge(tx, said.incident, by=said.person, reason="by the link in a message")
        except IllegalMove as error:
            return pages.page("say", 409, title="It is over", words=str(error))
        except (NoSuchIncident, StoreUnavailable) as error:
            return pages.page("say", 503, title="Not now", words=str(error))
        return pages.page("say", title=f"{incident.id} is yours", words=f"{said.person} has it. Further pages stop.")

    return app


async def _body(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > limit:
        raise _TooLarge
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _TooLarge
    return bytes(body)
