"""The Prefect that runs this flow, by plain HTTP: address, login and the state of a run."""

import contextvars
import logging
import threading
import time
from datetime import timedelta
from typing import Any

import httpx
from prefect.settings import get_current_settings

from paramedic.errors import PermanentError
from paramedic.machine.clock import boottime
from paramedic.transports.prefect_http import PrefectApi

log = logging.getLogger(__name__)

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
    until = boottime() + retry_for
    timeout = max(retry_for, _LOOK_SECONDS)
    while (state := _own_state(flow_run, timeout)) is None:
        timeout = until - boottime() - _ASK_AGAIN_SECONDS
        if timeout <= 0:
            break
        time.sleep(_ASK_AGAIN_SECONDS)
    return state


def states_of(flow_run: str, *, retry_for: float = 0.0) -> list[dict[str, Any]]:
    """The run's states, oldest first; empty if they cannot be read within `retry_for` seconds."""
    until = boottime() + retry_for
    while True:
        try:
            with prefect_api(timeout=_LOOK_SECONDS) as api:
                answer = api.get("/flow_run_states/", params={"flow_run_id": flow_run})
            answer.raise_for_status()
            return sorted(answer.json(), key=lambda state: str(state["timestamp"]))
        except (httpx.HTTPError, ValueError, LookupError, TypeError):
            if boottime() + _ASK_AGAIN_SECONDS >= until:
                return []
            time.sleep(_ASK_AGAIN_SECONDS)


def _own_state(flow_run: str, timeout: float) -> str | None:
    try:
        with prefect_api(timeout=timeout) as api:
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
