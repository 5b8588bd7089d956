"""Logs the calls that the embedded Prefect was slow to answer: what was asked, and how long it took."""

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

log = logging.getLogger(__name__)

#: A run that is about to act gives its first call no longer, and makes it again then (tasks/prefect_api.py).
_SLOW_SECONDS = 5.0


class SlowCalls:
    """Middleware that writes one line to the log for each HTTP call that took _SLOW_SECONDS or more."""

    def __init__(self, app: "_App") -> None:
        self._app = app

    async def __call__(self, scope: "_Scope", receive: "_Receive", send: "_Send") -> None:
        """Serve one call."""
        began = time.monotonic()
        try:
            await self._app(scope, receive, send)
        finally:
            took = time.monotonic() - began
            if scope["type"] == "http" and took >= _SLOW_SECONDS:
                log.warning("%s %s took %.1f s", scope["method"], scope["path"], took)


_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[Any]]
_Send = Callable[[Any], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]
