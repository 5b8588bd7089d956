"""The state of a run that has nothing to do: a finished run that was retried keeps the state that it had."""

from collections.abc import Mapping, Sequence
from typing import Any

from prefect.client.schemas.objects import State as PrefectState
from prefect.client.schemas.objects import StateType
from prefect.states import Completed

from tasks.prefect_api import states_of

#: How long Prefect is asked for the run's earlier states: it must answer soon to take the next one.
_PATIENCE_SECONDS = 10.0

#: States in which a run has ended.
_FINAL = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")

_RETRIED = ". A Retry in Prefect does nothing: "


def nothing_to_do(flow_run: str, why: str, *, retry: str) -> PrefectState[Any]:
    """As `as_before`, with the states that Prefect has of the run."""
    return as_before(states_of(flow_run, retry_for=_PATIENCE_SECONDS), why, retry=retry)


def as_before(states: Sequence[Mapping[str, Any]], why: str, *, retry: str) -> PrefectState[Any]:
    """The last final state of these, oldest first, with its name and colour; without one, NothingToDo.

    `why` says why nothing is done, `retry` is the command that has it tried again; both are in the message.
    """
    final = [state for state in states if state["type"] in _FINAL]
    if not final:
        return Completed(name="NothingToDo", message=why)
    last = final[-1]
    before = str(last.get("message") or "").partition(_RETRIED)[0]
    message = f"{before}{_RETRIED}{why}. To have it tried again: `{retry}`"
    return PrefectState(type=StateType(last["type"]), name=last["name"], message=message)
