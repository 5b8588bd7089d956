"""The edge of the embedded Prefect server: allowed hosts and origins, and the login.

Prefect's own defaults allow every origin and every Host, and check the login late. This is the outermost part of the
application: a refusal here costs nothing.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from paramedic.transports.prefect_login import LOGIN_PATH

#: Names of this machine that no DNS server decides on; a tunnel's end may have any port.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

#: The setting that allows another host.
SETTING = "PARAMEDIC_PREFECT_UI_URL"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal: HTTP status and reason."""

    status: int
    words: str


class Edge:
    """Refuses foreign hosts, foreign origins, and calls of the API without the login; serves the login page."""

    def __init__(self, app: "_App", *, login: str | None = None, ui_url: str | None = None) -> None:
        """`login` is the server's `user:password`; the host of `ui_url` is answered besides this machine's names."""
        self._app = app
        self._login = login
        self._hosts = LOOPBACK | ({_name(urlsplit(ui_url).netloc)} if ui_url else set())

    async def __call__(self, scope: "_Scope", receive: "_Receive", send: "_Send") -> None:
        """Serve or refuse one call or WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(refusal, scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == LOGIN_PATH:
            await _answer(send, 200, _PAGE.encode(), _PAGE_HEADERS)
        else:
            await self._app(scope, receive, _with_headers(send))

    def _refusal(self, scope: "_Scope") -> Refusal | None:
        headers = _single(scope["headers"])
        if headers is None:
            return Refusal(400, "a header that may stand once stands twice")
        refusal = foreign(scope.get("method"), headers, hosts=self._hosts)
        if (
            refusal is not None or scope["type"] == "websocket"
        ):  # Prefect asks a socket for the login in its first message
            return refusal
        path, reads = scope["path"], scope["method"] in ("GET", "HEAD")
        if path in _API_PAGES:
            return Refusal(404, "this page is not served: it would load scripts from elsewhere")
        if path == LOGIN_PATH and not reads:
            return Refusal(405, "this page is read with GET")
        is_api = path == "/api" or path.startswith("/api/")
        if (reads and not is_api) or (scope["method"] == "GET" and path in _PROBES):
            return None
        if self._login is not None and not _knows(headers.get("authorization", ""), self._login):
            return Refusal(401, "Unauthorized")
        return None


def foreign(method: str | None, headers: Mapping[str, str], *, hosts: Collection[str]) -> Refusal | None:
    """Why a call comes from another site, or to a name that is not ours; None where it does not.

    `method` is None for a WebSocket. A browser says where a call comes from in Origin and Sec-Fetch-Site (Fetch Metadata);
    programs say neither. A link from elsewhere to a page of ours is fine, a frame, a script or a form is not.
    """
    host = headers.get("host", "")
    if _name(host) not in hosts:
        return Refusal(
            421,
            f"This Prefect server does not answer to the host {host[:200]!r}. Where people open its UI under that name, "
            f"set {SETTING}=http://… to it, and start `paramedic up` again.",
        )
    origin = headers.get("origin")
    if origin is not None:
        netloc = urlsplit(origin).netloc if origin.startswith(("http://", "https://")) else ""
        if not netloc or (netloc.lower() != host.lower() and _name(netloc) not in set(hosts) - LOOPBACK):
            return Refusal(403, f"A page of {origin[:200]!r} may not use this Prefect server.")
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        opens = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        if method not in ("GET", "HEAD") or not opens:
            return Refusal(403, "A page of another site may not use this Prefect server.")
    return None


def _name(netloc: str) -> str:
    """The host without its port, in lower case; empty for an invalid one."""
    try:
        parts = urlsplit(f"//{netloc}")
        _ = parts.port  # raises where it is not a number
    except ValueError:
        return ""
    return (parts.hostname or "") if parts.netloc == netloc and "@" not in netloc else ""


def _single(raw: Collection[tuple[bytes, bytes]]) -> dict[str, str] | None:
    """The headers that decide; None where one of them stands twice: who reads the first and who the last would differ."""
    found: dict[str, str] = {}
    for name, value in raw:
        key = name.decode("latin-1").lower()
        if key in _DECIDE:
            if key in found:
                return None
            found[key] = value.decode("latin-1").strip()
    return found


def _knows(authorization: str, login: str) -> bool:
    scheme, _, credential = authorization.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        shown = base64.b64decode(credential.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(shown, login.encode())


async def _refuse(refusal: Refusal, scope: "_Scope", receive: "_Receive", send: "_Send") -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})  # before it is accepted: HTTP 403
        return
    body = json.dumps({"exception_message": refusal.words, "detail": refusal.words}).encode()
    await _answer(send, refusal.status, body, {"content-type": "application/json"})


async def _answer(send: "_Send", status: int, body: bytes, headers: Mapping[str, str]) -> None:
    all_headers = _ALWAYS | dict(headers) | {"content-length": str(len(body)), "cache-control": "no-store"}
    raw = [(name.encode(), value.encode()) for name, value in all_headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: "_Send") -> "_Send":
    async def sent(message: Any) -> None:
        if message["type"] == "http.response.start":
            more = [(name.encode(), value.encode()) for name, value in _ALWAYS.items()]
            message = message | {"headers": [*message.get("headers", []), *more]}
        await send(message)

    return sent


#: Prefect's own descriptions of its API: pages that load scripts from a public CDN, beside the login in the browser's storage.
_API_PAGES = frozenset({"/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"})

#: What may be asked without the login: whether the server is there.
_PROBES = frozenset({"/api/health", "/api/ready"})

_DECIDE = frozenset({"host", "origin", "authorization", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"})

#: No page of another site frames, reads or loads anything of this server, and no address of it goes elsewhere.
_ALWAYS: dict[str, str] = {
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}

#: Prefect's UI reads the login from the browser's storage, under this key, in base64. One that is no longer right is not stored.
_SCRIPT = """
const say = words => { document.getElementById("say").textContent = words };
const secret = location.hash.slice(1).replaceAll("-", "+").replaceAll("_", "/");
history.replaceState(null, "", location.pathname);
if (!secret) {
  say("This address is not whole. `paramedic ui` prints it.");
} else {
  fetch("/api/admin/version", {headers: {Authorization: "Basic " + secret}}).then(answer => {
    if (answer.ok) {
      localStorage.setItem("prefect-password", secret);
      location.replace("/");
    } else {
      say("This address is out of date. `paramedic ui` prints today's.");
    }
  }, () => say("The Prefect server does not answer now. Load this page again from its whole address."));
}
"""

_PAGE = f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Paramedic: log in to Prefect</title></head>
<body><p id="say">Logging in to Prefect …</p><noscript>Prefect needs JavaScript.</noscript><script>{_SCRIPT}</script></body>
</html>
"""

_SCRIPT_HASH = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()

_PAGE_HEADERS: dict[str, str] = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": (
        f"default-src 'none'; script-src 'sha256-{_SCRIPT_HASH}'; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
}

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[Any]]
_Send = Callable[[Any], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]
