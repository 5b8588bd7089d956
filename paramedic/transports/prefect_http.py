"""Is there a Prefect API at the address that answers us? By plain HTTP: Prefect's client is part of what may be broken."""

import itertools
import logging
import threading
import time
from collections.abc import Iterator

import httpx

from paramedic.transports import http_deadline

log = logging.getLogger(__name__)

#: How long to wait before Prefect is asked again; the last for ever.
_BACKOFF_SECONDS = (0.2, 0.2, 0.5, 0.5, 1.0, 2.0, 5.0)

#: How often it is said what is waited for, while it stays the same.
_SAY_AGAIN_SECONDS = 60.0

#: A run that no Prefect has: to say so, the server needs our login and its database.
_NO_RUN = "00000000-0000-0000-0000-000000000000"


def complaint(http: httpx.Client, url: str) -> str | None:
    """Why the API at `url` cannot be worked with, in words; None where it can. `http` has the login and the time-out.

    Prefect REST API reference: "Health Check", "Read Flow Run".
    """
    try:
        health = http.get(f"{url}/health")
        wrong = _refusal(health)
        if wrong is None and _json(health) is not True:
            wrong = _NO_API
        if wrong is not None:
            return wrong
        run = http.get(f"{url}/flow_runs/{_NO_RUN}")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return type(error).__name__
    if run.status_code == httpx.codes.NOT_FOUND:
        return None if _is_error(_json(run)) else _NO_API
    return _refusal(run) or _NO_API


def wait_for_prefect(url: str, auth: tuple[str, str] | None, stop: threading.Event) -> None:
    """Until the API can be worked with, or `stop`; what is waited for is logged."""
    said, said_at = None, 0.0
    with http_deadline.client(seconds=3.0, auth=auth) as http:
        for pause in backoff():
            found = complaint(http, url)
            if found is None or stop.is_set():
                break
            if found != said or time.monotonic() - said_at >= _SAY_AGAIN_SECONDS:
                log.warning("Prefect at %s is waited for: %s", url, found)
                said, said_at = found, time.monotonic()
            stop.wait(pause)
    if said is not None and not stop.is_set():
        log.warning("Prefect at %s answers", url)


def backoff() -> Iterator[float]:
    """Seconds to wait after the first, second, … failure."""
    return itertools.chain(_BACKOFF_SECONDS, itertools.repeat(_BACKOFF_SECONDS[-1]))


_NO_API = "it answers, and not as Prefect's API (PARAMEDIC_PREFECT_API_URL: http://HOST:4200/api)"


def _refusal(answer: httpx.Response) -> str | None:
    if answer.status_code in (401, 403):
        return f"it refuses our login (HTTP {answer.status_code}): set PARAMEDIC_PREFECT_API_AUTH"
    return None if answer.is_success else f"HTTP {answer.status_code}"


def _is_error(said: object) -> bool:
    return isinstance(said, dict) and "detail" in said


def _json(answer: httpx.Response) -> object:
    try:
        said: object = answer.json()
    except ValueError:
        return None
    return said
