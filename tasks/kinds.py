"""The three kinds of step: reads, changes and tells. Retry, time-out and tag are set here, once."""

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ParamSpec, Protocol, TypeVar

import httpx
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.concurrency._asyncio import ConcurrencySlotAcquisitionError
from prefect.states import get_state_exception
from prefect.tasks import Task

from paramedic.change import guarded, observing
from paramedic.change.guarded import Step
from paramedic.change.limits import pinned_and_current
from paramedic.change.run import Proposed
from paramedic.errors import TemporaryError
from paramedic.remediation.kill_switch import TAG
from paramedic.remediation.remedy import RESTART, Remedy, Verb
from tasks.answers import Naming, answering, done, unwrapped, verb
from tasks.approval_form import ask_if_needed
from tasks.current_run import current_run

P = ParamSpec("P")
R = TypeVar("R")


def reads(*, retries: int, timeout: timedelta, naming: Naming = done) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A step that only reads: safe to repeat, retried on TemporaryError, interrupted when an operator cancels.

    `naming` says how its answers are called, as the step's state in Prefect.
    """

    def decorate(look: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(look)
        def looking(*args: P.args, **kwargs: P.kwargs) -> R:
            with current_run().reading():
                return look(*args, **kwargs)

        return _step(looking, naming, retries=retries, timeout=timeout, delay_seconds=[0.5, 1, 2])

    return decorate


def tells(*, retries: int, timeout: timedelta, naming: Naming = done) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A step that notifies people: a repeated message is better than a lost one."""

    def decorate(tell: Callable[P, R]) -> Callable[P, R]:
        return _step(tell, naming, retries=retries, timeout=timeout, delay_seconds=[1, 2, 4])

    return decorate


class Change(Protocol):
    """A change as a playbook calls it: of this target, as that rung of its runbook's ladder."""

    def __call__(self, target: str, remedy: Remedy = RESTART) -> None:
        """Change the target; see `changes` for the errors."""


def changes(step: Step) -> Change:
    """A step that touches production: never repeated blindly, refused unless everything agrees.

    The moment before the change is `paramedic.change.guarded`, and nothing of it is in the verb. Here is what Prefect has
    to do with it: the run is suspended until a person has approved, where one must be asked (`tasks.approval_form`), and the
    task's tag asks for a slot, so that an operator's limit of 0 stops every change. The step raises what
    `guarded.change` does, and Refused where there is no slot or Prefect cannot be asked. Where the runbook observes no task
    begins: the step writes down what it would do, and raises Proposed.
    """
    name = step.__name__

    @task(name=name, tags={TAG}, retries=0, cache_policy=NO_CACHE, persist_result=False)
    def change(target: str, remedy: Remedy) -> State[Any]:
        return answering(changing, done)(target, remedy)

    def changing(target: str, remedy: Remedy) -> None:
        called = remedy.name if remedy.verb in (Verb.RUN, Verb.OFFERED) else name
        guarded.change(current_run(), target, remedy, name=called, step=step)

    @functools.wraps(step)
    def act(target: str, remedy: Remedy = RESTART) -> None:
        run = current_run()
        run.may_change()  # asked here too: a tagged task stalls for minutes where Prefect is gone
        if run.keeper is not None:  # before the task: a task cannot suspend its run
            pinned, current = pinned_and_current(run, remedy)
            if observing.observes(pinned) and target == run.target.id:
                raise Proposed(observing.propose(run, run.keeper.claim, remedy, pinned, current))
            ask_if_needed(run, run.keeper.claim, remedy, pinned, current)
        try:
            unwrapped(change(target, remedy))
        except ConcurrencySlotAcquisitionError as error:
            raise guarded.no_slot(_status(error)) from error

    act.__annotations__ = {"target": str, "remedy": Remedy, "return": None}
    return act


def _status(error: ConcurrencySlotAcquisitionError) -> int | None:
    """Prefect's HTTP answer; None where it gave none."""
    cause = error.__cause__
    return cause.response.status_code if isinstance(cause, httpx.HTTPStatusError) else None


def _step(
    step: Callable[P, R], naming: Naming, *, retries: int, timeout: timedelta, delay_seconds: list[float]
) -> Callable[P, R]:
    decorate = task(
        retries=retries,
        retry_delay_seconds=delay_seconds[:retries] or None,
        retry_jitter_factor=0.3,
        retry_condition_fn=_worth_another_try,
        timeout_seconds=timeout.total_seconds(),
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    return verb(step, decorate(answering(step, naming)))


def _worth_another_try(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    error = get_state_exception(state)
    return isinstance(error, TemporaryError)
