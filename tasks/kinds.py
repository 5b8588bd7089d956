"""The three kinds of step: what looks, what changes, what tells. Retry, time-out, tag and audit are decided here, once."""

import functools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ParamSpec, Protocol, TypeVar

import httpx
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.concurrency._asyncio import ConcurrencySlotAcquisitionError
from prefect.states import get_state_exception
from prefect.tasks import Task

from paramedic.alerts.alert import Severity
from paramedic.change.claim_keeper import ClaimKeeper
from paramedic.doors import reading
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TemporaryError
from paramedic.machine.clock import boottime
from paramedic.machine.kill_points import reached
from paramedic.remediation.approval import Answer
from paramedic.remediation.guardrail import Refusal
from paramedic.remediation.health import Sight
from paramedic.remediation.pause import TAG
from paramedic.remediation.remedy import RESTART, Remedy, Verb
from paramedic.remediation.target import Identity, Target
from paramedic.store import StoreUnavailable, acts, approvals
from paramedic.store.acts import Act, Limits
from paramedic.store.trail import append
from tasks.approval import ask_if_needed
from tasks.measure import measure
from tasks.today import today
from tasks.work import Work, at_hand

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)


def reads(*, retries: int, timeout: timedelta) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A step that looks and never touches: safe to repeat, repeated on TemporaryError, stopped when an operator cancels."""

    def decorate(look: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(look)
        def looking(*args: P.args, **kwargs: P.kwargs) -> R:
            with at_hand().reading():
                return look(*args, **kwargs)

        return _step(looking, retries=retries, timeout=timeout, delay_seconds=[0.5, 1, 2])

    return decorate


def tells(*, retries: int, timeout: timedelta) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A step that speaks to people: a repeated message beats a lost one."""

    def decorate(tell: Callable[P, R]) -> Callable[P, R]:
        return _step(tell, retries=retries, timeout=timeout, delay_seconds=[1, 2, 4])

    return decorate


@dataclass(frozen=True, slots=True)
class Intent:
    """What a remedy needs: which life of which target is meant, for how long, the last look before the first byte."""

    target: Target
    remedy: Remedy
    approved: bool  # a person has approved this very change
    identity: Identity
    last_look: Callable[[], None]
    within: timedelta


class Change(Protocol):
    """A change as a playbook calls it: of this target, as that rung of its runbook's ladder."""

    def __call__(self, target: str, remedy: Remedy = RESTART) -> None:
        """Change the target; what it raises, `changes` says."""


def changes(step: Callable[[Intent], Identity]) -> Change:
    """A step that touches production: never repeated blindly, refused unless everything agrees.

    The moment before the change is all here and nothing of it is in the verb: our own run is not cancelled, a person has
    approved where one must be asked (`tasks.approval`: the run is suspended until then), it is still failing if anything
    was waited for, every guardrail agrees in the transaction that writes the intent, and claim, deadline and identity
    hold just before the first byte. The outcome is written after. The step raises Refused (a guardrail's no), Cancelled,
    TemporaryError or PermanentError (nothing was sent), StoreUnavailable (nothing was sent); an act whose outcome is open returns
    like one that was done: what the target shows next decides (P4).
    """
    name = step.__name__

    @task(name=name, tags={TAG}, retries=0, cache_policy=NO_CACHE, persist_result=False)
    def change(target: str, remedy: Remedy) -> None:
        _change(name, step, target, remedy)

    @functools.wraps(step)
    def verb(target: str, remedy: Remedy = RESTART) -> None:
        work = at_hand()
        work.may_change()  # asked here too: a tagged task stalls for minutes where Prefect is gone
        if work.hold is not None:  # before the task: a task cannot suspend its run
            ask_if_needed(work, work.hold.claim, remedy, *_limits(work, remedy))
        try:
            change(target, remedy)
        except ConcurrencySlotAcquisitionError as error:
            raise _no_slot(error) from error

    verb.__annotations__ = {"target": str, "remedy": Remedy, "return": None}
    return verb


def _no_slot(error: ConcurrencySlotAcquisitionError) -> Refused:
    """Prefect gave no slot on the tag: an operator's limit of 0 (HTTP 422), or it did not say. Both are a no."""
    cause = error.__cause__
    if isinstance(cause, httpx.HTTPStatusError) and cause.response.status_code < 500:
        return Refused(
            f"an operator's limit on the tag `{TAG}` in Prefect stops every change",
            by_hand=f"raise or delete the limit on the tag `{TAG}`, or act by hand",
        )
    return Refused(
        f"Prefect does not say whether an operator's limit on the tag `{TAG}` stops every change",
        by_hand="look whether the Prefect server is up, then act by hand",
    )


def _change(name: str, step: Callable[[Intent], Identity], target: str, remedy: Remedy) -> None:
    work = at_hand()
    hold = work.hold
    if hold is None or target != work.target.id:
        raise Refused(f"{target} is not claimed by this run: a playbook acts inside `with exclusive(incident.target)`")
    work.may_change()
    if work.waited and (health := measure(work)).sight is not Sight.FAILING:
        raise Refused(f"after the wait it is no longer seen failing: {health.why}")
    identity = reading.identity(work.target)
    until = boottime() + work.settings.act_deadline.total_seconds()
    act = _intend(work, hold, name, remedy, identity)
    reached("intent_written", target)
    looked = []

    def last_look() -> None:
        _last_look(hold, until)
        looked.append(True)

    within = timedelta(seconds=max(0.1, until - boottime()))
    try:
        after = step(Intent(work.target, remedy, _approved(work, remedy), identity, last_look, within))
    except (Refused, TemporaryError) as error:
        _write_outcome(work, act, result="not_sent", why=f"nothing was sent: {error}", identity=None)
        raise
    except PermanentError as error:
        _write_outcome(work, act, result="failed" if looked else "not_sent", why=str(error), identity=None)
        raise
    except OutcomeUnknown as error:
        log.warning("%s: %s", act.words, error)
        with work.store.record() as tx:
            append(
                tx,
                actor=work.holder,
                phase="outcome",
                what=f"{name}.unknown",
                incident=act.incident,
                target=target,
                reason=str(error),
                data={"act": act.id},
            )
        return
    _write_outcome(work, act, result="done", why=f"{target} answered", identity=after)
    reached("outcome_written", target)


def _limits(work: Work, remedy: Remedy) -> tuple[Limits, Limits]:
    """What the incident's own runbook asks to be kept, and what its file asks at this moment.

    A release that nobody marked as reversible is crossed only with a person's word.
    """
    limits, now = Limits.of(work.runbook, remedy), today(work, remedy)
    if remedy.verb is Verb.ROLL_BACK and reading.releases(work.target).current().reversible is None:
        return replace(limits, asks_from=Severity.WARNING), now
    return limits, now


def _intend(work: Work, hold: ClaimKeeper, name: str, remedy: Remedy, identity: Identity) -> Act:
    limits, now = _limits(work, remedy)  # before the transaction: a disk that hangs must hold no lock of the store
    with work.store.record() as tx:
        judged = acts.intend(
            tx,
            hold.claim,
            rung=remedy.rung,
            remedy=name,
            identity=identity,
            deadline=work.settings.act_deadline,
            limits=limits,
            today=now,
        )
    if isinstance(judged, Refusal):
        raise Refused(f"{name} of {work.target.id}: {judged.reason} ({judged.guardrail})", by_hand=judged.by_hand)
    return judged


def _approved(work: Work, remedy: Remedy) -> bool:
    with work.store.read() as tx:
        known = approvals.of(tx, work.incident.number, work.attempt, remedy.rung, work.target.id)
    return known is not None and known.state is Answer.GRANTED


def _last_look(hold: ClaimKeeper, until: float) -> None:
    if not hold.sure():
        raise Refused("the claim's lease was not renewed in time: somebody else may have the target")
    if boottime() >= until:
        raise Refused("the act's deadline had passed before its first byte")


def _write_outcome(work: Work, act: Act, *, result: str, why: str, identity: Identity | None) -> None:
    """The target was touched, or not: say so, however long the store takes. An act without an outcome blocks its target."""
    patience = boottime() + 60
    while True:
        try:
            with work.store.record() as tx:
                acts.close(tx, act, result=result, why=why, actor=work.holder, identity=identity)
        except StoreUnavailable:
            if boottime() > patience:
                raise
            time.sleep(0.5)
        else:
            return


def _step(step: Callable[P, R], *, retries: int, timeout: timedelta, delay_seconds: list[float]) -> Callable[P, R]:
    decorate = task(
        retries=retries,
        retry_delay_seconds=delay_seconds[:retries] or None,
        retry_jitter_factor=0.3,
        retry_condition_fn=_worth_another_try,
        timeout_seconds=timeout.total_seconds(),
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    return decorate(step)


def _worth_another_try(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    error = get_state_exception(state)
    return isinstance(error, TemporaryError)
