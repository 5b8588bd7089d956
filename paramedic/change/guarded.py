"""A guarded change to production: every guardrail agrees, the intent is on the trail before it, the outcome after."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from paramedic.alerts.alert import Alert
from paramedic.change import figures
from paramedic.change.asked import asked_of
from paramedic.change.claim_keeper import ClaimKeeper
from paramedic.change.effect import must_be_another
from paramedic.change.limits import firing_alerts, pinned_and_current
from paramedic.change.look import measure
from paramedic.change.members import look_around
from paramedic.change.run import PlaybookRun
from paramedic.doors import reading
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TemporaryError
from paramedic.kinds.asked import Asked
from paramedic.machine.clock import boottime
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.approval import Answer
from paramedic.remediation.guardrail import Refusal
from paramedic.remediation.health import Sight
from paramedic.remediation.kill_switch import TAG
from paramedic.remediation.remedy import Remedy, Verb
from paramedic.remediation.target import Identity, Target
from paramedic.store import StoreUnavailable, Tx, acts, approvals, evidence, intents
from paramedic.store.acts import Act
from paramedic.store.trail import append
from paramedic.text.redaction import redact_end

log = logging.getLogger(__name__)

#: How long, and how often, writing an outcome is retried while the store does not answer.
_OUTCOME_PATIENCE_SECONDS = 60.0
_WRITE_AGAIN_SECONDS = 0.5

#: How many characters of the end of a command's output are kept.
_OUTPUT_LIMIT = 16_384


@dataclass(slots=True)
class Account:
    """What a remedy tells of its work beside its result, also where it fails."""

    did: str = ""  # what came of it, in our words: it goes onto the trail
    output: str | None = None  # what its program printed at its end: text from outside, kept as evidence


@dataclass(frozen=True, slots=True)
class Intent:
    """What a remedy gets: the target's instance, the time limit, and the last look before the first byte."""

    target: Target
    remedy: Remedy
    approved: bool  # a person has approved this very change
    identity: Identity
    last_look: Callable[[], None]
    within: timedelta
    act: str | None = None  # the id that a mark on the target's machine bears
    account: Account = field(default_factory=Account)
    asked: Asked | None = None  # what the runbook asks of it, filled in from the incident's alerts
    alerts: Callable[[], Sequence[Alert]] = tuple  # the incident's alerts that fire: data
    incident: str = ""  # UUID/INC-42


#: What touches the target, and returns the identity that it has afterwards, None if that is not known. It calls
#: `last_look` just before its first byte, and says by its error what became of the change, as
#: `paramedic.kinds.faces.TargetChanger` does.
Step = Callable[[Intent], Identity | None]


def change(run: PlaybookRun, target: str, remedy: Remedy, *, name: str, step: Step) -> None:
    """Carry out the step once, as the remedy `name` on the trail, unless a check or guardrail refuses it.

    In this order: the run holds the claim and is not cancelled; the target is still failing, if anything was waited for;
    every guardrail agrees in the transaction that writes the intent; claim and deadline hold just before the first byte.

    Raises Refused (a guardrail's no; TargetChanged where the step finds another target), Cancelled, TemporaryError,
    StoreUnavailable: nothing was sent, except where it is the outcome that the store did not take for a minute. Raises
    PermanentError where it failed (`paramedic.change.effect`: or has changed nothing): the message and the trail say whether
    anything was sent. An act whose outcome is unknown returns like a completed one: the verification decides (P4).
    """
    keeper = run.keeper
    if keeper is None or target != run.target.id:
        raise Refused(f"{target} is not claimed by this run: a playbook acts inside `with exclusive(incident.target)`")
    run.may_change()
    if run.waited and (health := measure(run)).sight is not Sight.FAILING:
        raise Refused(f"after the wait it is no longer seen failing: {health.why}")
    identity = reading.identity(run.target)
    asked = asked_of(run, remedy)
    slow = remedy.offered or ("rollback" if remedy.verb is Verb.ROLL_BACK else None)
    deadline = reading.time_for(run.target, slow, at_least=run.settings.act_deadline)
    until = boottime() + deadline.total_seconds()
    act = _intend(run, keeper, name, remedy, identity, deadline, asked)
    kill_point("intent_written", target)
    looked = []

    def last_look() -> None:
        _last_look(keeper, until)
        looked.append(True)

    within = timedelta(seconds=max(0.1, until - boottime()))
    account, mark = Account(), act.mark(run.store.uuid)
    try:
        approved, alerts = _approved(run, remedy), partial(firing_alerts, run)
        ref = f"{run.store.uuid}/{run.incident.id}"
        intent = Intent(run.target, remedy, approved, identity, last_look, within, mark, account, asked, alerts, ref)
        after = step(intent)
        must_be_another(run.target, remedy, identity, after, account.did)
    except (Refused, TemporaryError) as error:
        _write_outcome(run, act, account, result="not_sent", why=f"nothing was sent: {error}")
        raise
    except PermanentError as error:
        _write_outcome(run, act, account, result="failed" if looked else "not_sent", why=str(error))
        raise
    except OutcomeUnknown as error:
        _leave_open(run, act, account, error)
        return
    _write_outcome(run, act, account, result="done", why=account.did or f"{target} answered", identity=after)
    kill_point("outcome_written", target)


def no_slot(status: int | None) -> Refused:
    """The refusal where Prefect gave no slot on the tag of every change.

    `status` is its HTTP answer: 422 is an operator's limit of 0; from 500 on, or None, it did not say.
    """
    if status is not None and status < 500:
        return Refused(
            f"an operator's limit on the tag `{TAG}` in Prefect stops every change",
            by_hand=f"raise or delete the limit on the tag `{TAG}`, or act by hand",
        )
    return Refused(
        f"Prefect does not say whether an operator's limit on the tag `{TAG}` stops every change",
        by_hand="look whether the Prefect server is up, then act by hand",
    )


def _intend(  # noqa: PLR0917 - what is written, by whom, of what
    run: PlaybookRun,
    keeper: ClaimKeeper,
    name: str,
    remedy: Remedy,
    identity: Identity,
    deadline: timedelta | None = None,
    asked: Asked | None = None,
) -> Act:
    """Write the intent and return the act. Raises Refused, which is on the trail too, where a guardrail refuses."""
    pinned, current = pinned_and_current(run, remedy)  # before: a disk that hangs must hold no lock of the store
    around = look_around(run, pinned, current)
    measured = figures.before(run)
    with run.store.record() as tx:
        judged = intents.intend(
            tx,
            keeper.claim,
            rung=remedy.rung,
            remedy=name,
            identity=identity,
            deadline=deadline or run.settings.act_deadline,
            limits=pinned,
            today=current,
            around=around,
            figures=measured,
            about=() if asked is None else asked.about,
        )
    if isinstance(judged, Refusal):
        run.say(f"{name} of {run.target.id} is refused by the guardrail {judged.guardrail}: {judged.reason}")
        raise Refused(f"{name} of {run.target.id}: {judged.reason} ({judged.guardrail})", by_hand=judged.by_hand)
    run.say(f"every guardrail agrees: {name} of {run.target.id} begins")
    return judged


def _approved(run: PlaybookRun, remedy: Remedy) -> bool:
    with run.store.read() as tx:
        known = approvals.of(tx, run.incident.number, run.attempt, remedy.rung, run.target.id)
    return known is not None and known.state is Answer.GRANTED


def _last_look(keeper: ClaimKeeper, until: float) -> None:
    if not keeper.sure():
        raise Refused("the claim's lease was not renewed in time: somebody else may have the target")
    if boottime() >= until:
        raise Refused("the act's deadline had passed before its first byte")


def _leave_open(run: PlaybookRun, act: Act, account: Account, error: OutcomeUnknown) -> None:
    """Record that the outcome is unknown. The act stays open, and blocks its target until it is verified."""
    log.warning("%s: %s", act.words, error)
    run.say(f"{act.remedy}: what came of it is not known: {error}")
    with run.store.record() as tx:
        append(
            tx,
            actor=run.holder,
            phase="outcome",
            what=f"{act.verb}.unknown",
            incident=act.incident,
            target=act.target,
            reason=acts.reason_for(act.remedy, str(error)),
            data={"act": act.id} | acts.data_for(act.remedy),
        )
        _keep_output(tx, run, act, account)


def _keep_output(tx: Tx, run: PlaybookRun, act: Act, account: Account) -> None:
    """Keep what the remedy's program printed, with the incident: it may be erased there, unlike a reason on the trail."""
    if account.output is None:
        return
    body = redact_end(account.output, _OUTPUT_LIMIT) if account.output.strip() else "it printed nothing"
    kind = f"output of {act.remedy}"[: evidence.LONGEST_KIND]
    evidence.add(tx, act.incident, run.attempt, kind=kind, taken_at=tx.now, body=body)


def _write_outcome(
    run: PlaybookRun, act: Act, account: Account, *, result: str, why: str, identity: Identity | None = None
) -> None:
    """Write the outcome, retrying while the store is away: an act without an outcome blocks its target.

    Raises StoreUnavailable after a minute.
    """
    give_up_at = boottime() + _OUTCOME_PATIENCE_SECONDS
    while True:
        try:
            with run.store.record() as tx:
                acts.close(tx, act, result=result, why=why, actor=run.holder, identity=identity)
                _keep_output(tx, run, act, account)
            run.say(f"{act.remedy}: {result.replace('_', ' ')}: {why}")
        except StoreUnavailable:
            if boottime() > give_up_at:
                raise
            time.sleep(_WRITE_AGAIN_SECONDS)
        else:
            return
