"""All that must hold before a remedy may act, in the order of asking. Pure: `paramedic.store.guardrail_facts` has the queries.

To add one, write it here as a `Guardrail` in `RULES`, and its query there: runbooks, their JSON Schema, lint, the dry run, the
intent, the trail and the documentation ask this list.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Optional, Self

from pydantic import TypeAdapter

from paramedic.alerts.alert import Severity
from paramedic.incidents.incident import State
from paramedic.machine.clock import iso, spoken
from paramedic.remediation.approval import Answer, Approval, describe_instance
from paramedic.remediation.guardrail import (
    APPROVAL_KEY,
    AT_ONCE_KEY,
    About,
    AtOnce,
    Budget,
    Case,
    Guardrail,
    Holding,
    Misfit,
    No,
    Refusal,
    Spent,
    Surroundings,
    Written,
    WrittenBudget,
)
from paramedic.remediation.kill_switch import Pause
from paramedic.remediation.maintenance import Window
from paramedic.remediation.remedy import Remedy
from paramedic.text.units import duration

#: The guardrail that a person can answer.
APPROVAL = APPROVAL_KEY.key


@dataclass(frozen=True, slots=True)
class Guardrails:
    """What is asked of a change, from the runbook's YAML to the judgement: its mode, and the author's words by their key."""

    mode: str
    asked: Mapping[str, Any] = field(default_factory=dict, hash=False)
    withdrawn: str | None = None  # why the runbook no longer allows this change at all

    @classmethod
    def nothing(cls, why: str) -> Self:
        """The guardrails of a runbook that allows nothing any more."""
        return cls("observe", withdrawn=why)

    def of(self, remedy: Remedy) -> "Guardrails":
        """What is asked where this remedy is applied."""
        written = {key.key: key for key in _written()}
        narrowed = {key: written[key].of(value, remedy) for key, value in self.asked.items()}
        return replace(self, asked={key: value for key, value in narrowed.items() if value is not None})

    @property
    def asks_from(self) -> Severity | None:
        """Of one remedy: from which severity on a person must approve it; None: it needs nobody."""
        found: Severity | None = Severity.WARNING if self.mode == "ask" else self.asked.get(APPROVAL)
        return found

    def asking_from(self, severity: Severity) -> "Guardrails":
        """The same, and a person must approve it from this severity on."""
        return replace(self, asked={**self.asked, APPROVAL: severity})

    def value(self, rule: Guardrail) -> Any:
        """What is asked of the rule; None where it is not asked for, or asks for no word."""
        if rule.written is None:
            return None
        return self.asks_from if rule.name == APPROVAL else self.asked.get(rule.written.key)

    def rules(self) -> list[Guardrail]:
        """Those that are asked: the ones that always hold, and the author's."""
        return [rule for rule in RULES if rule.written is None or self.value(rule) is not None]


def judge(case: Case, seen: Mapping[str, Any], guardrails: Guardrails) -> Refusal | None:
    """None if every guardrail agrees, else the first refusal; `seen` is what the store's queries say, by name."""
    case = replace(case, mode=guardrails.mode, withdrawn=guardrails.withdrawn)
    for rule in guardrails.rules():
        no = rule.no(case, seen.get(rule.name), guardrails.value(rule))
        if no is not None:
            return Refusal(rule.name, no.reason, no.by_hand)
    return None


def agreed(case: Case, seen: Mapping[str, Any], guardrails: Guardrails) -> list[str]:
    """The guardrails that allowed a change, with their numbers, for the trail."""
    case = replace(case, mode=guardrails.mode, withdrawn=guardrails.withdrawn)
    return [
        f"{rule.name}: {rule.yes(case, seen.get(rule.name), guardrails.value(rule))}"
        for rule in guardrails.rules()
        if rule.yes is not None
    ]


def keys() -> dict[str, Any]:
    """The fields of the front matter's `guardrails`: by key, its type, and what it is where it is not written."""
    return {key.key: (Optional[key.type] if key.nothing is None else key.type, key.nothing) for key in _written()}  # noqa: UP045


def examples() -> dict[str, Any]:
    """What an author asks who writes the example of each."""
    return {key.key: TypeAdapter[Any](key.type).validate_python(key.example) for key in _written()}


def _written() -> list[Written]:
    return [rule.written for rule in RULES if rule.written is not None]


def misfits(asked: Mapping[str, Any], around: Surroundings) -> list[Misfit]:
    """Every value of the author's, by its key, that disagrees with the rest of the runbook or with services.yaml."""
    return [misfit for key in _written() if key.key in asked for misfit in key.misfits(asked[key.key], around)]


# --- people have said that nothing acts -------------------------------------------------------------------------------


def _paused(_case: Case, pauses: tuple[Pause, ...], _asked: None) -> No | None:
    if not pauses:
        return None
    return No(
        f"acting is paused: {'; '.join(pause.words for pause in pauses)}",
        f"to allow acts again: {', '.join(f'`{pause.resume}`' for pause in pauses)}",
    )


def _in_maintenance(_case: Case, window: Window | None, _asked: None) -> No | None:
    return None if window is None else No(window.words, f"`{window.end}` ends the maintenance")


# --- the incident, the target or the change is not this run's ---------------------------------------------------------


def _not_working(case: Case, state: State, _asked: None) -> No | None:
    return None if state is State.WORKING else No(f"the incident is {state}, not ours to act on", case.by_hand)


def _not_held(case: Case, held: Holding, _asked: None) -> No | None:
    if held.attempt != held.current_attempt:
        return No(
            f"attempt {held.attempt} was given up; attempt {held.current_attempt} has the incident", "nothing to do"
        )
    if not held.is_ours:
        return No("the claim on the target was lost or taken over", "look who holds it: `paramedic incident list`")
    if held.lease_until is None or held.lease_until <= case.now:
        return No("the claim's lease has run out", "look whether the machine was stopped or overloaded")
    return None


def _unsettled(_case: Case, act: str | None, _asked: None) -> No | None:
    if act is None:
        return None
    return No(f"{act} has no outcome yet", "look at the target, then `paramedic incident resolve` its incident")


def _not_granted(case: Case, grant: str | None, _asked: None) -> No | None:
    if grant == "open":
        return None
    state = grant or "missing: the incident has used it up"
    return No(f"the one permission for this change is {state}", case.by_hand)


def _withdrawn(case: Case, _seen: None, _asked: None) -> No | None:
    return None if case.withdrawn is None else No(case.withdrawn, case.by_hand)


def _observing(case: Case, _seen: None, _asked: None) -> No | None:
    if case.mode in ("act", "ask"):
        return None
    return No(f"the runbook's mode is {case.mode}: it says what it would do and does nothing", case.by_hand)


# --- so much was changed already that more of it needs a person -------------------------------------------------------


def _too_soon(case: Case, last_act_at: datetime | None, cooldown: timedelta) -> No | None:
    if last_act_at is None or case.now >= last_act_at + cooldown:
        return None
    return No(
        f"{case.target} was acted on at {iso(last_act_at)} and the cooldown is {spoken(cooldown)}: "
        f"until {iso(last_act_at + cooldown)}",
        f"a second change this soon needs a person: {case.by_hand}",
    )


def _rested(_case: Case, last_act_at: datetime | None, cooldown: timedelta) -> str:
    rest = "no act before" if last_act_at is None else f"last act {iso(last_act_at)}"
    return f"{spoken(cooldown)}, {rest}"


def _spent_on_target(case: Case, spent: Spent, budget: Budget) -> No | None:
    return _over(case, spent, budget, f"acts on {case.target}")


def _spent_on_service(case: Case, spent: Spent, budget: Budget) -> No | None:
    return _over(case, spent, budget, f"acts on service {case.service}")


def _over(case: Case, spent: Spent, budget: Budget, what: str) -> No | None:
    if spent.free_at is None:
        return None
    return No(
        f"{spent.used} of {budget.count} {what} within {spoken(budget.per)}, and the next is free at {iso(spent.free_at)}",
        f"what needs so many needs a person: {case.by_hand}",
    )


def _left(_case: Case, spent: Spent, budget: Budget) -> str:
    return f"{spent.used} of {budget.count} within {spoken(budget.per)}"


def _too_many(case: Case, busy: tuple[str, ...], at_once: AtOnce) -> No | None:
    if len(busy) < at_once.count:
        return None
    return No(
        f"{len(busy)} of service {case.service}'s {at_once.of} targets have a change that is not verified yet "
        f"({', '.join(busy[:5])}), and {at_once.count} may have one at a time",
        f"wait until those are well, or {case.by_hand}",
    )


def _spread(_case: Case, busy: tuple[str, ...], at_once: AtOnce) -> str:
    return f"{at_once.count} of {at_once.of} targets at once, {len(busy)} others are being changed"


# --- a person must agree ----------------------------------------------------------------------------------------------


def asks(severity: Severity, asks_from: Severity | None) -> bool:
    """Whether an incident of this severity needs a person's approval. None: never."""
    ranks = list(Severity)
    return asks_from is not None and ranks.index(severity) >= ranks.index(asks_from)


def _unapproved(case: Case, approval: Approval | None, asks_from: Severity) -> No | None:
    if not asks(case.severity, asks_from):
        return None
    if approval is None:
        return No("it needs a person's approval, and nobody was asked", "do it by hand")
    match approval.answer(case.now):
        case Answer.GRANTED if approval.means(case.identity):
            return None
        case Answer.GRANTED:
            return No(
                f"{approval.decider} approved it for {describe_instance(approval.identity)}, "
                f"and now it is {describe_instance(case.identity)}",
                "look why the target changed meanwhile, then do it by hand",
            )
        case Answer.EXPIRED if approval.state is Answer.ASKED:
            return No(approval.nobody, "do it by hand")
    return No(approval.decision, "do it by hand")


# --- the rules --------------------------------------------------------------------------------------------------------


_Cooldown = Annotated[timedelta, duration("0s", "365d")]


#: In the order of asking: what protects most comes first, and nobody is asked about what could not be done anyway.
RULES: tuple[Guardrail, ...] = (
    Guardrail(
        "kill switch",
        _paused,
        About(
            "the pauses: of everything, of this service, of this runbook, or `mass`, which the checks write while too much "
            "is broken at once",
            "which pauses, by whom, since when and why",
            "`paramedic resume`, with `--service NAME`, `--runbook NAME` or `--mass`: the refusal names the command",
        ),
        yes=lambda *_: "off",
    ),
    Guardrail(
        "maintenance",
        _in_maintenance,
        About(
            "the windows of the service and of the target",
            "which one, until when, by whom and why",
            "`paramedic maintenance end NUMBER`",
        ),
        yes=lambda *_: "none",
    ),
    Guardrail(
        "incident",
        _not_working,
        About(
            "its state",
            "a person has it, or it has ended",
            "the person goes on; `paramedic incident resolve INC-7` ends it",
        ),
    ),
    Guardrail(
        "claim",
        _not_held,
        About(
            "the target's only claim, its token and its lease; the incident's current attempt",
            "it was lost, ran out, or a later attempt has the incident",
            "nothing: the later attempt, or the person, has it",
        ),
        yes=lambda *_: "ours",
    ),
    Guardrail(
        "open act",
        _unsettled,
        About(
            "acts on this target without an outcome, of whichever incident",
            "which act, since when",
            "look at the target, then `paramedic incident resolve` that incident: your word decides the act",
        ),
    ),
    Guardrail(
        "grant",
        _not_granted,
        About(
            "the one permission for this remedy of this incident",
            "it is spent, revoked, or the incident has used the remedy up",
            "act by the runbook's Mitigation, which is in the page",
        ),
        yes=lambda *_: "open",
    ),
    Guardrail(
        "runbook",
        _withdrawn,
        About(
            "the runbook's file and services.yaml as they are at this moment",
            "the runbook is gone, cannot be used, no longer wants the alert, or names this target, playbook or remedy no "
            "more; services.yaml means another thing by the target; either file, or oncall.yaml, cannot be read",
            "look what was changed, and why; act by the Mitigation",
        ),
    ),
    Guardrail(
        "mode",
        _observing,
        About("the runbook's `mode`", "it observes", "act by the Mitigation; write `mode: act` once you trust it"),
        yes=lambda case, *_: case.mode,
    ),
    Guardrail(
        "cooldown",
        _too_soon,
        About(
            "the last act on this target",
            "when that was, and until when the cooldown lasts",
            "a second change this soon needs a person",
        ),
        yes=_rested,
        written=Written("cooldown", _Cooldown, "10m"),
    ),
    Guardrail(
        "budget",
        _spent_on_target,
        About(
            "acts on this target in the time that the budget names",
            "`2 of 2 acts on web-1/api within 1h`, and when the next is free",
            "what needs so many needs a person",
        ),
        yes=_left,
        written=Written("budget", WrittenBudget, "3 per hour"),
    ),
    Guardrail(
        "service budget",
        _spent_on_service,
        About("acts on every target of the service, those still open too", "the same, of the service", "the same"),
        yes=_left,
        written=Written("service_budget", WrittenBudget, "5 per hour"),
    ),
    Guardrail(
        "at once",
        _too_many,
        About(
            "other targets of the service with an act that is open or not verified well, until their incident has ended",
            "how many, which, and how many may be",
            "wait until those are well; a person who resolves their incidents frees the place",
        ),
        yes=_spread,
        written=AT_ONCE_KEY,
    ),
    Guardrail(
        APPROVAL,
        _unapproved,
        About(
            "`mode: ask`, `guardrails.approval`, and the mark of a release that would be crossed; the answer, and for which "
            "instance of the target it was given",
            "nobody was asked, has answered yet or in time; who denied it; the target has changed since",
            "answer by link, in the Prefect UI or with `paramedic incident approve` while it waits "
            "([approvals](approvals.md)); then by hand",
        ),
        written=APPROVAL_KEY,
    ),
)
