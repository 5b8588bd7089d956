"""The environment that `paramedic up` gives its children."""

import contextlib
import json
import os
from pathlib import Path

from paramedic import keys
from paramedic.machine import parent_death
from paramedic.settings import IMPORTED_FIRST, BadSettings, Settings
from paramedic.stack.prefect_server import server_env

#: Prefect's own variable for how often a worker polls.
_POLL = "PREFECT_WORKER_QUERY_SECONDS"


def child_env(settings: Settings, port: int) -> dict[str, str]:
    """The environment of every child; `port`: the gateway's. Raises BadSettings."""
    env = dict(os.environ) | settings.as_env() | server_env(settings.data / "prefect")
    for theirs in ("PREFECT_PROFILE", "PREFECT_API_KEY"):  # of the person who starts us, for another Prefect
        if settings.prefect_api_url is None:
            env.pop(theirs, None)
    env |= {
        "PARAMEDIC_DATA": str(settings.data),
        "PARAMEDIC_RUNBOOKS": str(settings.runbooks),
        "PARAMEDIC_HOST": settings.host,
        "PARAMEDIC_PORT": str(port),
        parent_death.VARIABLE: "1",
        "PARAMEDIC_WARM_PROCESSES": str(settings.warm_processes),
        _POLL: _poll_seconds(),
        "PREFECT_CLIENT_MAX_RETRIES": "3",
        "PREFECT_LOGGING_COLORS": "false",  # they go into a file, and cost 10 ms a line
        "PREFECT_API_REQUEST_TIMEOUT": "15",  # now and then a call is never answered: made again before its run is given up
        "PYTHONPATH": os.pathsep.join([*IMPORTED_FIRST, *_absolute(os.environ.get("PYTHONPATH", ""))]),
        "PYTHONSAFEPATH": "1",
    }
    env.pop("PARAMEDIC_CONFIG", None)  # what it says is in the environment now
    if not settings.gateway_tokens and not settings.gateway_users:
        env["PARAMEDIC_GATEWAY_TOKENS"] = json.dumps({"local": keys.gateway_token(settings)})
    if settings.prefect_api_auth is not None:
        auth = settings.prefect_api_auth.get_secret_value()
        env |= {"PREFECT_API_AUTH_STRING": auth, "PREFECT_SERVER_API_AUTH_STRING": auth}
    return env


def _poll_seconds() -> str:
    """The worker's poll interval in seconds: 1, unless Prefect's own variable is set."""
    value = os.environ.get(_POLL, "1")
    with contextlib.suppress(ValueError):
        if 0 < float(value) < float("inf"):
            return value
    raise BadSettings(f"{_POLL}, in the environment: {value!r} is not a number of seconds above 0")


def _absolute(path: str) -> list[str]:
    """PATH without relative or empty entries, which depend on the current folder."""
    return [folder for folder in path.split(os.pathsep) if Path(folder).is_absolute()]
