"""The write queue of the embedded Prefect: calls that an outage depends on are served before all others."""

import asyncio
import heapq
import itertools
import math
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any


class WriteQueue:
    """Middleware that orders writing calls: first those that create, start, resume or cancel runs, then everything else.

    Few calls that may write are admitted at a time. The others wait before they hold a connection, so that reads find one. A
    call that has waited for a second is admitted in any case: a client that hangs blocks nobody. While runs
    start in a storm, their other calls wait, ends and events too, but for no more than
    _LULL_AT_MOST_SECONDS.
    """

    def __init__(self, app: "_App") -> None:
        self._app = app
        self._inside = 0
        self._waiting: list[tuple[bool, int, asyncio.Event]] = []
        self._count = itertools.count()
        self._began_at = self._beginning_since = -math.inf

    async def __call__(self, scope: "_Scope", receive: "_Receive", send: "_Send") -> None:
        """Serve one call in its turn; also each event that comes over a WebSocket."""
        if scope["type"] == "websocket" and scope["path"].endswith("/events/in"):
            await self._lull()
            receive = self._in_a_lull(receive)
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        first = scope["path"].endswith(("/create_flow_run", "/resume"))
        if _STATE.search(scope["path"]):
            body, receive = await _peeked(receive)
            first = _FIRST.search(body) is not None
        if first:
            self._note_beginning()
        else:
            await self._lull()
        if self._inside >= _AT_ONCE:
            await self._turn(later=not first)
        self._inside += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._inside -= 1
            self._let_in()
            if first:  # its process is about to say that it runs, or the next one is created
                self._note_beginning()

    def _note_beginning(self) -> None:
        now = time.monotonic()
        if now - self._began_at >= _LULL_SECONDS:
            self._beginning_since = now
        self._began_at = now

    async def _lull(self) -> None:
        while self._runs_begin():  # noqa: ASYNC110 - that no run comes is not an event
            await asyncio.sleep(_LULL_SECONDS / 2)

    def _runs_begin(self) -> bool:
        now = time.monotonic()
        return now - self._began_at < _LULL_SECONDS and now - self._beginning_since < _LULL_AT_MOST_SECONDS

    def _in_a_lull(self, receive: "_Receive") -> "_Receive":
        async def received() -> Any:
            message = await receive()
            await self._lull()
            return message

        return received

    async def _turn(self, *, later: bool) -> None:
        turn = asyncio.Event()
        waiting = (later, next(self._count), turn)
        heapq.heappush(self._waiting, waiting)
        try:
            await asyncio.wait_for(turn.wait(), _TURN_SECONDS)
        except TimeoutError:
            self._forget(waiting)
        except asyncio.CancelledError:  # its client went away
            self._forget(waiting)
            if turn.is_set():
                self._let_in()
            raise

    def _let_in(self) -> None:
        if self._waiting and self._inside < _AT_ONCE:
            heapq.heappop(self._waiting)[2].set()

    def _forget(self, waiting: tuple[bool, int, asyncio.Event]) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)
            heapq.heapify(self._waiting)


async def _peeked(receive: "_Receive") -> tuple[bytes, "_Receive"]:
    """A call's body, and a `receive` that yields it again."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    left = iter(messages)

    async def again() -> Any:
        return next(left, None) or await receive()

    return b"".join(message.get("body", b"") for message in messages), again


_STATE = re.compile(r"/flow_runs/[0-9a-f-]{36}/set_state$")
_FIRST = re.compile(rb'"type"\s*:\s*"(?:PENDING|RUNNING|CANCELLING)"')

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[Any]]
_Send = Callable[[Any], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]

_AT_ONCE = 4
_TURN_SECONDS = 1.0
_LULL_SECONDS = 0.25
_LULL_AT_MOST_SECONDS = 3.0
