"""The endpoint for deployments: what CI, a deployer or a person's script rolled out, told once it is out."""

import logging
from collections.abc import Collection, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from paramedic.alerts.payload import parsed_object
from paramedic.alerts.reading import BadPayload
from paramedic.gateway import not_now
from paramedic.gateway.body import Bodies, BodyRefused, NoRoom
from paramedic.gateway.readiness import Readiness
from paramedic.gateway.refusal import refused
from paramedic.gateway.senders import KNOWN, Senders
from paramedic.remediation.deployment import FIELDS, BadDeployment, Deployment, parsed
from paramedic.store import Store, StoreUnavailable, StoreUnknown, Tx, deployments
from paramedic.store.deployments import OtherDeployment, TooMany

log = logging.getLogger(__name__)

PATH = "/deployments"

#: A deployment has a few short fields.
BODY_LIMIT = 65_536

_ABOUT: Mapping[str, str] = {
    "service": "as services.yaml calls it",
    "version": "what was deployed: a version, a tag, a commit",
    "target": "the target that it was deployed to, as services.yaml calls it (web-1/shop), or its host; without it all of them",
    "environment": "prod, staging, …",
    "at": "when: RFC 3339, or seconds or milliseconds since 1970; without it now",
    "by": "who deployed it",
    "link": "a page about it: the pipeline, the diff",
    "id": "one that is told again with the same id is the same deployment",
}


class DeploymentEndpoint:
    """Receives deployments from the senders that may send alerts."""

    def __init__(
        self,
        senders: Senders,
        store: Store,
        readiness: Readiness,
        bodies: Bodies,
        sender_services: Mapping[str, Collection[str]],
    ) -> None:
        self._senders, self._store, self._readiness = senders, store, readiness
        self._bodies = bodies
        self._sender_services = sender_services

    async def receive(self, request: Request) -> Response:
        """Record one deployment of a known sender."""
        who = self._senders.known(request)
        if who is None:
            return refused(401, "unknown sender", field="Authorization", what="unknown sender", allowed=KNOWN)
        try:
            async with self._bodies.receive(request, who) as body:
                given = parsed_object(body, "a deployment's").values
        except NoRoom:
            return not_now.to_sender("busy", what="too many large bodies are under way", allowed="send it again")
        except BodyRefused as error:
            return refused(error.status, error.reason, field="body", what=error.what, allowed=error.allowed)
        except BadPayload as error:
            status = 422 if error.readable else 400
            return refused(status, "unreadable", field=error.field, what=error.what, allowed=error.allowed)
        return await run_in_threadpool(self._record, given, who)

    def _record(self, given: Mapping[str, Any], who: str) -> Response:
        try:
            with self._store.record() as tx:
                return self._told(tx, given, who)
        except (StoreUnavailable, StoreUnknown) as error:
            log.warning("a deployment was not accepted: %s", error)
            self._readiness.refused()
            return not_now.to_sender("store", what="the deployment could not be written", allowed="send it again")

    def _told(self, tx: Tx, given: Mapping[str, Any], who: str) -> Response:
        try:
            told = parsed(given, told_by=who, now=tx.now)
        except BadDeployment as error:
            return refused(422, "unreadable", field=error.field, what=error.what, allowed=error.allowed)
        if (said := self._may_not_speak(told, who)) is not None:
            return said
        try:
            is_new = deployments.tell(tx, told, actor=f"sender:{who}")
        except OtherDeployment as error:
            return refused(409, "conflict", field="id", what=str(error), allowed="an id of its own, or none")
        except TooMany as error:
            return not_now.to_sender("busy", what=error.reason, allowed="send it again later")
        return JSONResponse({"id": told.id, "new": is_new}, status_code=201 if is_new else 200)

    def _may_not_speak(self, told: Deployment, who: str) -> Response | None:
        services = self._sender_services.get(who)
        if services is None or told.service in services:
            return None
        what = f"{who} may not speak for {told.service}"
        return refused(403, "not theirs", field="service", what=what, allowed=", ".join(services))


def openapi() -> dict[str, Any]:
    """The body, for the gateway's OpenAPI document."""
    fields = {
        name: {"type": "string", "maxLength": longest, "description": _ABOUT[name]} for name, longest in FIELDS.items()
    }
    schema = {
        "type": "object",
        "properties": fields,
        "required": ["service", "version"],
        "additionalProperties": False,
    }
    example = {"service": "tracking-api", "version": "v2.3.1", "by": "ada", "link": "https://ci.example.org/runs/7"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}}


RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "It is known already."},
    201: {"description": "It is on disk."},
    400: {"description": "The body is not JSON, or was cut off."},
    401: {"description": "Nobody we know."},
    403: {"description": "The sender may not speak for this service (sender_services)."},
    408: {"description": "The body did not arrive in time."},
    409: {"description": "There is another deployment with this id."},
    413: {"description": "The body is too large."},
    415: {"description": "The body is compressed otherwise than by gzip."},
    422: {"description": "A field is missing or wrong: which one, and what is allowed."},
    503: {"description": "It could not be written. Send it again."},
}
