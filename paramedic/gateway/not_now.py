"""Answers "not now" (503 with Retry-After) of the gateway: to a program, a person, a probe."""

import logging

from fastapi import Response
from fastapi.responses import JSONResponse, PlainTextResponse

from paramedic.gateway import pages
from paramedic.gateway.refusal import refused

log = logging.getLogger(__name__)

_STATUS = 503

#: Seconds, as RFC 9110, 10.2.3 has them.
_HEADERS = {"Retry-After": "5"}


def to_sender(reason: str, *, what: str, allowed: str) -> JSONResponse:
    """The answer to a sender of alerts or heartbeats; `reason` is its label in the metric."""
    answer = refused(_STATUS, reason, what=what, allowed=allowed)
    answer.headers.update(_HEADERS)
    return answer


def to_person(error: Exception) -> Response:
    """The answer to a person who has opened a link of a message; the error is logged."""
    log.warning("a link could not be served: %s", error)
    answer = pages.page("say", _STATUS, title="Not now", words="It cannot be answered now. Try again in a minute.")
    answer.headers.update(_HEADERS)
    return answer


def to_probe(complaint: str) -> PlainTextResponse:
    """The answer to a load balancer, or to another part of Paramedic: one line."""
    return PlainTextResponse(f"{complaint}\n", _STATUS, headers=_HEADERS)
