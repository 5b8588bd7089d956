"""The judgement of each guardrail: why it does not agree, and what let a change pass. Pure; `guardrail_rules` has their order."""

from datetime import datetime, timedelta

from paramedic.alerts.alert import Severity
from paramedic.incidents.incident import State
from paramedic.machine.clock import iso, spoken
from paramedic.remediation.approval import Answer, Approval, describe_instance
from paramedic.remediation.guardrail import (
    Asking,
    AtOnce,
    Budget,
    Busy,
    Case,
    Earlier,
    Granted,
    Holding,
    No,
    Spent,
    taken_words,
)
from paramedic.remediation.hours import within
from paramedic.remediation.kill_switch import Pause
from paramedic.remediation.maintenance import Window
from paramedic.remediation.remedy import done
from paramedic.text.local_time import ago

# --- people have said that nothing acts -------------------------------------------------------------------------------


def paused(_case: Case, pauses: tuple[Pause, ...], _asked: None) -> No | None:
    if not pauses:
        return None
    return No(
        f"acting is paused: {'; '.join(pause.words for pause in pauses)}",
        f"to allow acts again: {', '.join(f'`{pause.resume}`' for pause in pauses)}",
    )


def in_maintenance(_case: Case, window: Window | None, _asked: None) -> No | None:
    return None if window is None else No(window.words, f"`{window.end}` ends the maintenance")


# --- the incident, the target or the change is not this run's ---------------------------------------------------------


def not_working(case: Case, state: State, _asked: None) -> No | None:
    return None if state is State.WORKING else No(f"the incident is {state}, not ours to act on", case.by_hand)


def not_held(case: Case, held: Holding, _asked: None) -> No | None:
    if held.attempt != held.current_attempt:
        return No(
            f"attempt {held.attempt} was given up; attempt {held.current_attempt} has the incident", "nothing to do"
        )
    if not held.is_ours:
        return No("the claim on the target was lost or taken over", "look who holds it: `paramedic incident list`")
    if held.lease_until is None or held.lease_until <= case.now:
        return No("the claim's lease has run out", "look whether the machine was stopped or overloaded")
    return None


def unsettled(_case: Case, act: str | None, _asked: None) -> No | None:
    if act is None:
        return None
    return No(f"{act} has no outcome yet", "look at the target, then `paramedic incident resolve` its incident")


def not_granted(case: Case, grant: Granted, _asked: None) -> No | None:
    if grant.state == "open":
        return None
    if grant.spent_by is not None:
        return _spent_before(case, grant.spent_by)
    state = grant.state or "missing: the incident has used it up"
    return No(f"the one permission for this change is {state}", case.by_hand)


def not_repeated(case: Case, earlier: Earlier | None, asked: bool) -> No | None:  # noqa: FBT001 - the author's own value
    """An attempt that was raised by an author's word of then is judged by the word of now."""
    return None if earlier is None or asked else _spent_before(case, earlier)


def _spent_before(case: Case, earlier: Earlier) -> No:
    reason = f"{had_before(earlier, case.now)}: a second {earlier.remedy} is a person's"
    by_hand = f"{case.by_hand}; or have it tried again: `paramedic incident retry {case.incident} --by NAME`"
    if earlier.result != "cured":
        return No(reason, by_hand)
    return No(
        reason,
        f"{by_hand}. To allow it from now on, write `again: true` beside the `budget` of the runbook's guardrails",
    )


def had_before(earlier: Earlier, now: datetime) -> str:
    """What the incident had of a remedy before, how long ago, and what came of it."""
    came_of_it = _CAME_OF_IT.get(earlier.result or "", "nobody saw what came of it")
    span = timedelta(seconds=round((now - earlier.at).total_seconds()))
    return f"{done(earlier.remedy)} {ago(span)} ago, {came_of_it}"


#: By the result of the act that had the permission.
_CAME_OF_IT = {"cured": "it did not last", "done": "it did not help", "failed": "it failed"}


def repeated(_case: Case, earlier: Earlier | None, asked: bool) -> str:  # noqa: FBT001 - the author's own value
    if earlier is None:
        return "the first of this incident"
    return f"{'allowed' if asked else 'not allowed'}: {done(earlier.remedy)} at {iso(earlier.at)}, it did not last"


def withdrawn(case: Case, _seen: None, _asked: None) -> No | None:
    return None if case.withdrawn is None else No(case.withdrawn, case.by_hand)


def observing(case: Case, _seen: None, _asked: None) -> No | None:
    if case.mode in ("act", "ask"):
        return None
    return No(f"the runbook's mode is {case.mode}: it says what it would do and does nothing", case.by_hand)


# --- so much was changed already that more of it needs a person -------------------------------------------------------


def too_soon(case: Case, last_act_at: datetime | None, cooldown: timedelta) -> No | None:
    if last_act_at is None or case.now >= last_act_at + cooldown:
        return None
    return No(
        f"{case.target} was acted on at {iso(last_act_at)} and the cooldown is {spoken(cooldown)}: "
        f"until {iso(last_act_at + cooldown)}",
        f"a second change this soon needs a person: {case.by_hand}",
    )


def rested(_case: Case, last_act_at: datetime | None, cooldown: timedelta) -> str:
    rest = "no act before" if last_act_at is None else f"last act {iso(last_act_at)}"
    return f"{spoken(cooldown)}, {rest}"


def spent_on_target(case: Case, spent: Spent, budget: Budget) -> No | None:
    return over(case, spent, budget, f"acts on {case.target}")


def spent_on_service(case: Case, spent: Spent, budget: Budget) -> No | None:
    return over(case, spent, budget, f"acts on service {case.service}")


def over(case: Case, spent: Spent, budget: Budget, what: str) -> No | None:
    if spent.free_at is None:
        return None
    return No(
        f"{spent.used} of {budget.count} {what} within {spoken(budget.per)}, and the next is free at {iso(spent.free_at)}",
        f"what needs so many needs a person: {case.by_hand}",
    )


def left(_case: Case, spent: Spent, budget: Budget) -> str:
    return f"{spent.used} of {budget.count} within {spoken(budget.per)}"


def too_many(case: Case, busy: Busy, at_once: AtOnce) -> No | None:
    """Why more would be changed at once than may be; None where not."""
    allowed = at_once.allowed(at_once.of - len(busy.away))
    alone = not busy.changing and case.target in (busy.taken or (case.target,))  # one change of the service always may
    if alone or len(busy.changing) + busy.taking <= allowed:
        return None
    away = ""
    if allowed < at_once.count:
        away = f", for {', '.join(busy.away[:5])} {'is' if len(busy.away) == 1 else 'are'} not seen healthy"
    named = f" ({', '.join(busy.changing[:5])})" if busy.changing else ""
    more = f", it would change {busy.taking}, {taken_words(case, busy.taken)}" if busy.taking > 1 else ""
    return No(
        f"{len(busy.changing)} of service {case.service}'s {at_once.of} targets have a change that is not verified yet"
        f"{named}{more}, and {allowed} may have one at a time{away}",
        f"wait until those are well, or {case.by_hand}" if busy.changing else case.by_hand,
    )


def spread(_case: Case, busy: Busy, at_once: AtOnce) -> str:
    """How many may be changed at once, and how many others are."""
    allowed = at_once.allowed(at_once.of - len(busy.away))
    fewer = "" if allowed == at_once.count else f" ({len(busy.away)} not seen healthy)"
    return f"{allowed} of {at_once.of} targets at once{fewer}, {len(busy.changing)} others are being changed"


# --- a person must agree ----------------------------------------------------------------------------------------------


def asks(severity: Severity, asks_from: Severity | None) -> bool:
    """Whether an incident of this severity needs a person's approval. None: never."""
    ranks = list(Severity)
    return asks_from is not None and ranks.index(severity) >= ranks.index(asks_from)


def unapproved(case: Case, approval: Approval | None, asking: Asking) -> No | None:
    out_of_hours = asking.outside and within(asking.outside, case.now) is None
    if not out_of_hours and not asks(case.severity, asking.from_severity):
        return None
    if approval is None:
        return No("it needs a person's approval, and nobody was asked", "do it by hand")
    match approval.answer(case.now):
        case Answer.GRANTED if approval.means(case.identity) and approval.names(case.about):
            return None
        case Answer.GRANTED if approval.means(case.identity):
            return No(
                f"{approval.decider} approved it for what the alerts named then, and by now they name more",
                "look at the incident's alerts, then do it by hand",
            )
        case Answer.GRANTED:
            return No(
                f"{approval.decider} approved it for {describe_instance(approval.identity)}, "
                f"and now it is {describe_instance(case.identity)}",
                "look why the target changed meanwhile, then do it by hand",
            )
        case Answer.EXPIRED if approval.state is Answer.ASKED:
            return No(approval.nobody, "do it by hand")
    return No(approval.decision, "do it by hand")
