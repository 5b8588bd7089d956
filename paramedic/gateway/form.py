"""Form tokens: a form acts only once, and only from the browser that was shown its page.

A signed field, bound to the link and to a cookie that no other site's request carries (SameSite=Strict): a cross-site POST, a
POST to the bare link, and a scanner that submits the form without cookies all do nothing.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from fastapi import Request, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer

from paramedic import keys
from paramedic.settings import Settings

#: The hidden field, and the cookie.
FIELD, COOKIE = "form", "paramedic_form"

#: How long a page may stay open before its button is pressed.
_EXPIRES = timedelta(hours=1)

#: A form of ours is far smaller and comes at once.
_LIMIT, _SECONDS = 4096, 10

#: So many forms are known to have been used; older ones have expired, or their acts are done anyway.
_REMEMBERED = 10_000


class Issued(NamedTuple):
    """The proof that a page was shown: the cookie's value and the hidden field's."""

    cookie: str
    field: str


class NotThisForm(Exception):
    """The POST does not come from a page that we showed; the message says what to do."""


async def read(request: Request) -> dict[str, str]:
    """The fields of the form. Raises NotThisForm if it is too large or too slow."""
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _LIMIT:
                    raise NotThisForm("It is larger than the form of this page.")
    except TimeoutError as error:
        raise NotThisForm("It did not come in time.") from error
    return {name: values[0] for name, values in parse_qs(body.decode("ascii", "replace")).items()}


class Forms:
    """Issues and checks form tokens."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._used: OrderedDict[str, None] = OrderedDict()

    def issue(self, request: Request) -> Issued:
        """A token for a page that is shown now. Raises OSError without the key."""
        nonce = request.cookies.get(COOKIE, "")
        if len(nonce) != 32 or not nonce.isalnum():
            nonce = secrets.token_hex(16)
        return Issued(nonce, self._signer().dumps([_digest(request.url.path), nonce, secrets.token_hex(8)]))

    def set_cookie(self, answer: Response, request: Request, issued: Issued) -> None:
        """Set the cookie half of the token."""
        answer.set_cookie(
            COOKIE,
            issued.cookie,
            max_age=int(_EXPIRES.total_seconds()),
            path=request.url.path,
            secure=self._settings.links_at().startswith("https://"),
            httponly=True,
            samesite="strict",
        )

    def use(self, request: Request, form: Mapping[str, str]) -> None:
        """Accept the form, once. Raises NotThisForm, and OSError without the key."""
        check_origin(request, self._settings)
        field = form.get(FIELD, "")
        try:
            signed = self._signer().loads(field, max_age=int(_EXPIRES.total_seconds()))
        except BadSignature as error:
            raise NotThisForm("Open the link again and press the button there.") from error
        nonce = request.cookies.get(COOKIE, "")
        if signed[0] != _digest(request.url.path) or not hmac.compare_digest(signed[1].encode(), nonce.encode()):
            raise NotThisForm("Open the link again and press the button there; your browser must accept its cookie.")
        if field in self._used:
            raise NotThisForm("This form was used before. Open the link again to see how it stands.")
        self._used[field] = None
        while len(self._used) > _REMEMBERED:
            self._used.popitem(last=False)

    def _signer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(keys.link_key(self._settings), salt="paramedic form")


def check_origin(request: Request, settings: Settings) -> None:
    """Raises NotThisForm where the browser names another site as the request's origin."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin", "null")  # null: our own pages keep their address to themselves
    own = {request.headers.get("host", ""), urlsplit(settings.links_at()).netloc}
    if site != "same-origin" or (origin != "null" and urlsplit(origin).netloc not in own):
        raise NotThisForm("It came from another site.")


def _digest(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()
