"""Asks a server's HTTP API one question and reads its JSON. Whatever keeps the answer away is a look that sees nothing."""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.logins import Login
from paramedic.machine.clock import spoken
from paramedic.text.sanitize import one_line

#: So much of an answer is read, in bytes.
_LIMIT = 4 * 1024 * 1024

#: So much of what a server says against a question is repeated, in characters.
_WORDS = 300


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: its status, its headers by lower-case name, and the JSON that it is, or None where it is none."""

    status: int
    headers: Mapping[str, str]
    content: Any
    text: str  # the beginning of what was said, on one line


def ask(
    url: str,
    timeout: timedelta,
    *,
    headers: Mapping[str, str],
    form: Mapping[str, str] | None = None,
    body: object = None,
) -> Reply:
    """GET, or POST with a form or a body of JSON; no redirect is followed, since the headers may hold a key.

    Raises TemporaryError where there is no whole answer within `timeout`, PermanentError where the address or the server's
    certificate is at fault.
    """
    import httpx  # a quarter of a second; only a look pays

    from paramedic.transports import http_deadline

    posted = form is not None or body is not None
    try:
        with (
            http_deadline.client(seconds=timeout.total_seconds(), verify=url.startswith("https:")) as client,
            client.stream(
                "POST" if posted else "GET",
                url,
                headers={"Accept": "application/json", **headers},
                data=form,
                json=body,
            ) as answer,
        ):
            content = b""
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > _LIMIT:
                    raise PermanentError(f"{host_of(url)} answers more than {_LIMIT // 1024**2} MiB: ask for less")
            status, named = answer.status_code, {name.lower(): value for name, value in answer.headers.items()}
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError, ValueError) as error:
        raise PermanentError(f"{host_of(url)} cannot be asked: {one_line(str(error))[:_WORDS]}") from error
    except httpx.TimeoutException as error:
        raise TemporaryError(f"{host_of(url)} gives no whole answer within {spoken(timeout)}") from error
    except httpx.HTTPError as error:
        if (fault := http_deadline.certificate_fault(error)) is not None:
            raise PermanentError(f"the certificate of {host_of(url)} is not trusted: {one_line(fault)}") from error
        raise TemporaryError(f"{host_of(url)} does not answer: {one_line(str(error))[:_WORDS]}") from error
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        parsed = None
    return Reply(status, named, parsed, one_line(content[:_WORDS].decode("utf-8", "replace")))


def host_of(url: str) -> str:
    """The host and port that the address names: an address may have a key in its path."""
    try:
        parts = urlsplit(url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    except ValueError:
        return "the address"


def refused(who: str, reply: Reply, said: str | None = None) -> TemporaryError | PermanentError:
    """The error that an answer other than a success means; `said`: what it says against the question, in its own words."""
    why = f": {one_line(said)[:_WORDS]}" if said else ""
    if reply.status in (401, 403):
        return PermanentError(
            f"{who} does not let us ask ({reply.status}){why}: look at its login in the setting `logins`"
        )
    if reply.status == 429:
        later = reply.headers.get("retry-after") or reply.headers.get("x-ratelimit-reset") or ""
        wait = f", for {later} s" if later.isdigit() else ""
        return TemporaryError(f"{who} is asked too often, and says so{wait}: write a longer `every`")
    if 300 <= reply.status < 400:
        return PermanentError(f"{who} answers {reply.status}: it is asked at another address, which is not followed")
    kind = TemporaryError if reply.status >= 500 else PermanentError
    return kind(f"{who} answers {reply.status}{why}")


def authorization(login: Login) -> dict[str, str]:
    """The header by which a server knows us: a `token` of the login, or its `user` and `password`."""
    if (token := login.secret("token")) is not None:
        return {"Authorization": f"Bearer {token}"}
    if (password := login.secret("password")) is not None:
        both = b64encode(f"{login.user or ''}:{password}".encode()).decode()
        return {"Authorization": f"Basic {both}"}
    return {}
