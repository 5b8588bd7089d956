"""The host names that the gateway answers to, against DNS rebinding."""

import ipaddress
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from paramedic.settings import Settings


def own_hosts(settings: Settings) -> frozenset[str]:
    """The names in lower case: loopback's, the machine's, the bound one, the public one, and those of `gateway_hosts`."""
    names = {"localhost", socket.gethostname(), settings.host, *settings.gateway_hosts}
    if settings.public_url:
        names.add(urlsplit(settings.public_url).hostname or "")
    return frozenset(name.lower().rstrip(".") for name in names) - {""}


class HostGuard:
    """Answers 421 to a foreign Host header. Requests without one (HTTP/1.0) do not come from a browser."""

    def __init__(self, app: ASGIApp, settings: Settings, *, refused: Callable[[str], None] = lambda _: None) -> None:
        """`refused` is called with the reason of each refusal, for counting."""
        self._app = app
        self._names = own_hosts(settings)
        self._any_address = not _is_loopback(settings.host)
        self._refused = refused
        self._right: set[bytes] = set()  # what was found right before, as it was written

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http":
            written = next((value for name, value in scope["headers"] if name == b"host"), None)
            if written is not None and written not in self._right:
                if not self.answers(written.decode("latin-1")):
                    self._refused("another host")
                    allowed = "one of the gateway's own names; add another to PARAMEDIC_GATEWAY_HOSTS"
                    error = {"field": "Host", "what": "is none of this gateway's names", "allowed": allowed}
                    await JSONResponse({"error": error}, status_code=421)(scope, receive, send)
                    return
                if len(self._right) < 1000:
                    self._right.add(written)
        await self._app(scope, receive, send)

    def answers(self, host: str) -> bool:
        """Whether the gateway answers to this Host. IP addresses are fine: nobody can point them elsewhere."""
        try:
            parts = urlsplit(f"//{host}")
            name, _ = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            return False
        if parts.netloc != host or parts.username is not None or not name:
            return False
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name.endswith(".localhost")  # loopback everywhere, by RFC 6761
        return self._any_address or address.is_loopback


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
