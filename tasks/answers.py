"""The state of a step in Prefect is named for its answer: NotHealthy, StillFailing, Refused, in the colour of that answer."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

from prefect._internal.result_records import ResultRecord
from prefect.client.schemas.objects import State, StateType

from paramedic.change.run import Cancelled, GivenUp
from paramedic.errors import (
    BrokeElsewhere,
    CannotSee,
    MadeWorse,
    PermanentError,
    Refused,
    TargetChanged,
    WaitsForPeople,
)
from paramedic.incidents.outcome import Ending, Outcome
from tasks.run_log import begin_step, last_words

P = ParamSpec("P")
R = TypeVar("R")


class Answer(NamedTuple):
    """A state's name, and whether it is red: a step that says no to what it stands for."""

    name: str
    is_red: bool = False


#: What an answer of a step is called.
Naming = Callable[[Any], Answer]


def done(_answer: object) -> Answer:
    """The name of a step whose answer has none of its own."""
    return Answer("Done")


def yes_or_no(yes: Answer, no: Answer) -> Naming:
    """The names of a question's two answers."""
    return lambda answer: yes if answer else no


def by_ending(outcome: Outcome) -> Answer:
    """`Remediated`, `HandedOver`, … : green, for the step has done what it is for."""
    return Answer(name_of(outcome.ending))


def name_of(ending: Ending) -> str:
    """The ending as the name of a state."""
    return "".join(word.title() for word in ending.split("_"))


#: Exceptions whose state has a name of its own; the first that fits counts. All others are Prefect's `Failed`.
_RAISED: tuple[tuple[type[Exception], str, StateType], ...] = (
    (MadeWorse, "NotHealthy", StateType.FAILED),
    (BrokeElsewhere, "BrokeElsewhere", StateType.FAILED),
    (TargetChanged, "TargetChanged", StateType.FAILED),
    (Refused, "Refused", StateType.FAILED),
    (CannotSee, "CannotSee", StateType.FAILED),
    (WaitsForPeople, "WaitsForPeople", StateType.FAILED),
    (PermanentError, "Failed", StateType.FAILED),
    (Cancelled, "Cancelled", StateType.CANCELLED),
    (GivenUp, "GivenUp", StateType.COMPLETED),
)


def answering(step: Callable[P, R], naming: Naming) -> Callable[P, State[Any]]:
    """The step as a function of a task: it returns the state, which carries the answer, or what the step has raised.

    An exception that Prefect may retry, and a bug, are raised as they are.
    """

    @functools.wraps(step)
    def answer(*args: P.args, **kwargs: P.kwargs) -> State[Any]:
        begin_step()
        try:
            found = step(*args, **kwargs)
        except tuple(kind for kind, _, _ in _RAISED) as error:
            name, state = next((name, state) for kind, name, state in _RAISED if isinstance(error, kind))
            return State(type=state, name=name, message=str(error), data=error)
        named = naming(found)
        state = StateType.FAILED if named.is_red else StateType.COMPLETED
        return State(type=state, name=named.name, message=last_words(), data=found)

    return answer


def unwrapped(state: Any) -> Any:
    """The answer that the state of a step carries. Raises what the step has raised."""
    data = state.data if isinstance(state, State) else state
    if isinstance(data, ResultRecord):
        data = data.result
    if isinstance(data, BaseException):
        raise data
    return data


def verb(step: Callable[P, R], run: Callable[P, Any]) -> Callable[P, R]:
    """The step as a playbook calls it: it runs the task, and returns the answer. `fn` is the step without Prefect."""

    @functools.wraps(step)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        return cast("R", unwrapped(run(*args, **kwargs)))

    called.fn = step  # type: ignore[attr-defined]
    return called
