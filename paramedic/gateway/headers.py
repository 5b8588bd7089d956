"""Security headers on every answer."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: For answers that are not pages: a browser loads nothing, frames nothing, guesses no type and caches nothing.
PLAIN = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class SafeHeaders:
    """Adds the headers that an answer lacks."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._raw = [(name.lower().encode(), value.encode()) for name, value in PLAIN.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the headers to its answer."""

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                known = {name.lower() for name, _ in headers}
                message["headers"] = [*headers, *(header for header in self._raw if header[0] not in known)]
            await send(message)

        await self._app(scope, receive, send_with if scope["type"] == "http" else send)
