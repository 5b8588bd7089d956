"""How the embedded Prefect server is started: the command and the environment that `prefect server start` would use."""

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.pool import Pool

#: How long a call may wait for SQLite's lock. Prefect 3.8.8 fixes it to a minute: where those who wait hold every
#: connection, nobody is answered for as long.
LOCK_SECONDS = 10


def server_command(port: int) -> list[str]:
    """One process, on loopback."""
    spec = importlib.util.find_spec("prefect")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("Prefect is not installed")
    return [
        sys.executable,
        "-m",
        "uvicorn",
        "--app-dir",
        str(Path(spec.origin).parent),
        "--factory",
        f"{__name__}:create_app",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--timeout-keep-alive",
        "5",
        "--log-level",
        "warning",
    ]


def create_app() -> Any:
    """Prefect's own application; a call that waits too long for SQLite's lock gets its 503, and is made again."""
    server = importlib.import_module(
        "prefect.server.api.server"
    )  # by name: it takes seconds, and the server alone needs it
    event.listen(Pool, "checkout", _wait_less)
    return server.create_app()


def _wait_less(connection: Any, record: Any, _proxy: object) -> None:
    if "aiosqlite" in type(connection).__module__ and "waits less" not in record.info:
        record.info["waits less"] = True
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {1000 * LOCK_SECONDS}")
        cursor.close()


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
    }
