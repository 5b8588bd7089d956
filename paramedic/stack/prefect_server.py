"""How the embedded Prefect server is started: the command and the environment that `prefect server start` would use."""

import asyncio
import gc
import heapq
import importlib
import itertools
import math
import os
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import Pool
from sqlalchemy.util import await_only

from paramedic.machine import liveness
from paramedic.machine.parent_death import module
from paramedic.stack.prefect_edge import SETTING, Edge

#: How long a call may wait for SQLite's lock. Prefect 3.8.8 fixes it to a minute: where those who wait hold every
#: connection, nobody is answered for as long.
LOCK_SECONDS = 10


def server_command(port: int) -> list[str]:
    """One process, on loopback."""
    return module("paramedic.stack.serve_prefect", str(port))


def create_app() -> Any:
    """Prefect's own application; a call that waits too long for SQLite's lock gets its 503, and is made again."""
    gc.disable()  # until it has started: what is loaded until then stays
    server = importlib.import_module(
        "prefect.server.api.server"
    )  # by name: it takes seconds, and the server alone needs it
    serialize_sqlite_writes(Engine, Pool)
    app = server.create_app()
    app.add_middleware(WriteQueue)
    app.router.lifespan_context = _uncollected(app.router.lifespan_context)
    login, ui_url = os.environ.get("PREFECT_SERVER_API_AUTH_STRING"), os.environ.get(SETTING)
    # Around it and not in it: what Prefect's automations do goes to the application itself, by a host that nobody else has.
    return Edge(app, login=login or None, ui_url=ui_url or None)


def _uncollected(lifespan: "_Lifespan") -> "_Lifespan":
    """What has been loaded at the start is not looked at by the garbage collector again.

    A full look at it takes 0.35 s, in the middle of whatever an alert is waiting for.
    """

    @asynccontextmanager
    async def started(app: Any) -> AsyncIterator[Any]:
        async with lifespan(app) as state:
            gc.freeze()
            gc.set_threshold(_YOUNG, 10, 10)
            gc.enable()
            alive = asyncio.create_task(_live(liveness.mine()))
            yield state
            alive.cancel()

    return started


async def _live(heart: liveness.Heart) -> None:
    """Show that the loop goes on, for as long as it does."""
    while True:
        heart.beat()
        await asyncio.sleep(1)


def serialize_sqlite_writes(engine: Engine | type[Engine], pool: Pool | type[Pool]) -> None:
    """Whoever writes to SQLite through them waits in one line: first come, first served.

    A transaction that Prefect begins is one that writes. One that reads first, and then writes what another has changed
    meanwhile, SQLite refuses without a wait; and where several wait for its lock, each sleeps and tries again, and one that
    is unlucky is refused after LOCK_SECONDS of it.
    """
    event.listen(pool, "checkout", _wait_less)
    event.listen(pool, "checkin", _end_turn)
    event.listen(engine, "before_cursor_execute", _begin_turn, retval=True)


def _begin_turn(conn: Any, _cursor: Any, statement: str, parameters: Any, *_: object) -> tuple[str, Any]:
    if statement not in ("BEGIN DEFERRED", "BEGIN IMMEDIATE"):
        return statement, parameters
    held = conn.connection.record_info
    if _TURN not in held:  # migrations begin more than once on one connection
        await_only(_wait_in_line(held))
    return "BEGIN IMMEDIATE", parameters


async def _wait_in_line(held: dict[str, Any]) -> None:
    line = _lines.setdefault(asyncio.get_running_loop(), asyncio.Lock())  # it is fair
    try:
        async with asyncio.timeout(LOCK_SECONDS):
            await line.acquire()
            held[_TURN] = line
    except TimeoutError as error:  # as SQLite itself would say it: Prefect answers 503
        raise OperationalError("BEGIN", None, sqlite3.OperationalError("database is locked")) from error


def _end_turn(_connection: Any, record: Any) -> None:
    line = record.record_info.pop(_TURN, None)
    if line is not None:
        line.release()


def _wait_less(connection: Any, record: Any, _proxy: object) -> None:
    if "aiosqlite" in type(connection).__module__ and "waits less" not in record.info:
        record.info["waits less"] = True
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {1000 * LOCK_SECONDS}")
        cursor.close()


#: So many new objects are a reason to look among them. Python's own 700 are there after one call of Prefect's.
_YOUNG = 5_000

_TURN = "its turn to write"
_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


class WriteQueue:
    """What an outage waits for comes first: that runs are created, begin, go on, are cancelled. Then everything else.

    Few calls that may write are let in at a time. The others wait before they hold a connection, so that reads find one. A
    call that has waited for a second goes through whoever is inside: a client that stands still keeps nobody out. While runs
    begin in a storm, whatever else they have to say waits, their ends and events too, but for no more than
    _LULL_AT_MOST_SECONDS.
    """

    def __init__(self, app: "_App") -> None:
        self._app = app
        self._inside = 0
        self._waiting: list[tuple[bool, int, asyncio.Event]] = []
        self._count = itertools.count()
        self._began_at = self._beginning_since = -math.inf

    async def __call__(self, scope: "_Scope", receive: "_Receive", send: "_Send") -> None:
        """One call, in its turn; each event that comes over a socket, too."""
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
            await asyncio.wait_for(turn.wait(), _PATIENCE_SECONDS)
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
    """A call's body, and how to receive it once more."""
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

_Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]

_AT_ONCE = 4
_PATIENCE_SECONDS = 1.0
_LULL_SECONDS = 0.25
_LULL_AT_MOST_SECONDS = 3.0


def server_env(home: Path) -> dict[str, str]:
    """The server's and every client's: a home of its own, and nothing sent to anybody."""
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT__SERVER_FINAL": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_UI_API_URL": "/api",  # of wherever the page came from: through a tunnel too
        "PREFECT_CLI_WRAP_LINES": "false",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": "https://none.invalid",  # Prefect's default is every origin
    }
