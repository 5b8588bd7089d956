"""How the embedded Prefect server is started: the command and the environment that `prefect server start` would use."""

import importlib.util
import sys
from pathlib import Path


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
        "prefect.server.api.server:create_app",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--timeout-keep-alive",
        "5",
        "--log-level",
        "warning",
    ]


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
