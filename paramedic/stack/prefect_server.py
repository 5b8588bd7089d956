"""The embedded Prefect server: its command, environment and application."""

import asyncio
import gc
import importlib
import importlib.util
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from paramedic.machine import liveness
from paramedic.machine.parent_death import module
from paramedic.stack.prefect_edge import SETTING, Edge
from paramedic.stack.prefect_write_queue import WriteQueue
from paramedic.stack.slow_calls import SlowCalls


def server_command(port: int) -> list[str]:
    """The server's command line: one process, on loopback."""
    return module("paramedic.stack.serve_prefect", str(port))


def create_app() -> Any:
    """Prefect's application behind the edge; a call that waits too long for SQLite's lock gets a 503, and is retried."""
    gc.disable()  # until it has started: what is loaded until then stays
    # By name: they take seconds, and the server alone needs them.
    importlib.import_module("paramedic.stack.prefect_sqlite").use_fair_sqlite()
    app = importlib.import_module("prefect.server.api.server").create_app()
    _without_request_limit(app)
    app.add_middleware(WriteQueue)
    app.router.lifespan_context = _uncollected(app.router.lifespan_context)
    login, ui_url = os.environ.get("PREFECT_SERVER_API_AUTH_STRING"), os.environ.get(SETTING)
    # Around it and not in it: what Prefect's automations do goes to the application itself, by a host that nobody else has.
    return Edge(SlowCalls(app), login=login or None, ui_url=ui_url or None)


def _without_request_limit(app: Any) -> None:
    """Leave out Prefect's limit of 100 requests at once on SQLite, whose purpose the write queue has.

    It counts WebSockets, which stay open: each run has two or three, so some forty runs would stop every other call.
    """
    app.user_middleware[:] = [part for part in app.user_middleware if part.cls.__name__ != "RequestLimitMiddleware"]


def _uncollected(lifespan: "_Lifespan") -> "_Lifespan":
    """Exclude what was loaded at the start from garbage collection.

    A full collection takes 0.35 s, while an alert may be waiting.
    """

    @asynccontextmanager
    async def started(app: Any) -> AsyncIterator[Any]:
        async with lifespan(app) as state:
            gc.freeze()
            gc.set_threshold(_YOUNG, 10, 10)
            gc.enable()
            alive = asyncio.create_task(liveness.inherited_pipe().keep_beating())
            yield state
            alive.cancel()

    return started


#: So many new objects are a reason to look among them. Python's own 700 are there after one call of Prefect's.
_YOUNG = 5_000


_Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]


#: Prefect's own variable for the folder of its pages. Without one that it may write to it goes on, and serves none.
_UI_FOLDER = "PREFECT_SERVER_UI_STATIC_DIRECTORY"


def server_env(home: Path) -> dict[str, str]:
    """The environment of the server and every client: its own home, and no telemetry."""
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
        **_ui_folder(home),
    }


def _ui_folder(home: Path) -> dict[str, str]:
    """Where Prefect may write its pages as it serves them, if it may not beside its code, as under ProtectSystem=strict."""
    spec = importlib.util.find_spec("prefect")
    if spec is None or spec.origin is None or _UI_FOLDER in os.environ:
        return {}
    beside = Path(spec.origin).parent / "server"
    return {} if os.access(beside, os.W_OK) else {_UI_FOLDER: str(home / "ui")}
