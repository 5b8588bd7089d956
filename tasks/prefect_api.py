"""The Prefect that runs this flow, by plain HTTP: address, login and the state of a run."""

import contextvars
import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import httpx
from prefect.settings import get_current_settings

from paramedic.errors import PermanentError
from paramedic.machine.clock import boottime
from paramedic.transports.prefect_http import PrefectApi

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

#: Prefect's words for a run that an operator stopped.
STOPPED = ("CANCELLED", "CANCELLING")

#: How long a read waits to hear whether its run was cancelled: a silent Prefect stops no read.
_LOOK_SECONDS = 2.0

#: How soon a Prefect that gave no answer is asked again, where a change depends on it.
_ASK_AGAIN_SECONDS = 0.1


def is_cancelled(flow_run: str, retry_for: timedelta) -> bool | None:
    """Whether an operator has cancelled the run; None if Prefect does not say in time."""
    state = own_state(flow_run, retry_for=retry_for.total_seconds())
    return None if state is None else state in STOPPED


def own_state(flow_run: str, *, retry_for: float = 0.0) -> str | None:
    """The run's state type in Prefect now (`RUNNING`, `CANCELLING`, …); None if it cannot be read in time.

    Prefect on SQLite answers 503 now and then: the request is repeated for `retry_for` seconds.
    """
    return _asked(partial(_own_state, flow_run), retry_for)


def states_of(flow_run: str, *, retry_for: float = 0.0) -> list[dict[str, Any]]:
    """The run's states, oldest first; empty if they cannot be read within `retry_for` seconds."""
    return _asked(partial(_states_of, flow_run), retry_for) or []


def _asked(ask: Callable[[float], Answer | None], retry_for: float) -> Answer | None:
    """What `ask`, given its seconds, answers; asked again until `retry_for` seconds have been waited. None: no answer.

    The first try has a sixth of that, each later one twice as long as the one before: a call that is never answered is made
    again soon, and a slow Prefect is waited for. A try counts as no more than it had: a machine that stood still meanwhile,
    as while it is moved to another host, has not waited all that time.
    """
    left, seconds = retry_for, max(retry_for / 6, _LOOK_SECONDS)
    while True:
        began = boottime()
        answer = ask(seconds)
        left -= min(boottime() - began, seconds) + _ASK_AGAIN_SECONDS
        if answer is not None or left <= 0:
            return answer
        time.sleep(_ASK_AGAIN_SECONDS)
        seconds = min(2 * seconds, left)


def _states_of(flow_run: str, seconds: float) -> list[dict[str, Any]] | None:
    try:
        with prefect_api(timeout=seconds) as api:
            answer = api.get("/flow_run_states/", params={"flow_run_id": flow_run})
        answer.raise_for_status()
        return sorted(answer.json(), key=lambda state: str(state["timestamp"]))
    except (httpx.HTTPError, ValueError, LookupError, TypeError):
        return None


def _own_state(flow_run: str, seconds: float) -> str | None:
    try:
        with prefect_api(timeout=seconds) as api:
            answer = api.get(f"/flow_runs/{flow_run}")
        answer.raise_for_status()
        state: str | None = answer.json().get("state_type")
    except (httpx.HTTPError, ValueError, LookupError):
        return None
    return state


def rename(flow_run: str, name: str) -> None:
    """Give the run another name, in a thread of its own: nothing waits for it, and one that fails leaves the old name."""
    context = contextvars.copy_context()  # it has Prefect's settings
    threading.Thread(target=context.run, args=(_rename, flow_run, name), name="rename", daemon=True).start()


def _rename(flow_run: str, name: str) -> None:
    try:
        with prefect_api(timeout=_LOOK_SECONDS) as api:
            api.patch(f"/flow_runs/{flow_run}", json={"name": name}).raise_for_status()
    except (httpx.HTTPError, LookupError, PermanentError) as error:
        log.info("the run keeps its name: %s", error)


def prefect_api(*, timeout: float) -> httpx.Client:
    """A client of the Prefect that runs us; no call takes longer than `timeout` seconds, and none is repeated.

    Raises LookupError where there is none, PermanentError where its address is invalid.
    """
    api = get_current_settings().api
    if api.url is None:
        raise LookupError("no Prefect API is named (PREFECT_API_URL)")
    return PrefectApi(api.url, login=api.auth_string, key=api.key).client(seconds=timeout)
