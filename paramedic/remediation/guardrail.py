"""Guardrails: the rules that must hold before a remedy may act. Pure: the store gathers the facts in the intent's transaction."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from paramedic.alerts.alert import Severity
from paramedic.incidents.incident import State
from paramedic.machine.clock import iso, spoken
from paramedic.remediation.approval import Answer, Approval, describe_instance
from paramedic.remediation.kill_switch import Pause
from paramedic.remediation.maintenance import Window
from paramedic.remediation.target import Identity


@dataclass(frozen=True, slots=True)
class Spent:
    """The use of a budget: the acts within its period, and when one is free again if none is now."""

    used: int
    count: int
    per: timedelta
    free_at: datetime | None = None

    @property
    def words(self) -> str:
        """`2 of 3 within 1h`."""
        return f"{self.used} of {self.count} within {spoken(self.per)}"


@dataclass(frozen=True, slots=True)
class Spread:
    """The spread of unverified changes: the other targets of the service that have one."""

    busy: tuple[str, ...]
    count: int
    of: int

    @property
    def words(self) -> str:
        """`1 of 4 targets at once, 0 others are being changed`."""
        return f"{self.count} of {self.of} targets at once, {len(self.busy)} others are being changed"


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts that guardrails judge, read in one transaction under one lock."""

    now: datetime
    incident: str
    service: str
    target: str
    pauses: tuple[Pause, ...]  # those that stop acts for this service by this runbook
    window: Window | None  # the maintenance that the target is in
    mode: str
    state: State
    attempt: int  # ours
    current_attempt: int  # the incident's
    claim_is_ours: bool
    lease_until: datetime | None
    grant: str | None  # open, spent, revoked, or none
    open_act: str | None  # an act on this target whose outcome is not written, in words
    last_act_at: datetime | None  # on this target
    cooldown: timedelta | None
    budget: Spent | None  # of this target
    service_budget: Spent | None  # of all targets of the service
    at_once: Spread | None
    asks: bool  # whether a person must approve it
    approval: Approval | None  # what was asked for exactly this incident, attempt, rung and target
    identity: Identity  # the instance of the target that is to be changed
    withdrawn: str | None = None  # why the runbook, as it is now, no longer allows this change

    @property
    def by_hand(self) -> str:
        """How a person continues where automation may not."""
        return (
            f"act by the Mitigation of the runbook, which is in the page; `paramedic incident resolve {self.incident}` "
            "ends it"
        )


#: The guardrail that a person can answer.
APPROVAL = "approval"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A guardrail's refusal: which one, why with its numbers, and how a person continues by hand."""

    guardrail: str
    reason: str
    by_hand: str


def agreed(facts: Facts) -> list[str]:
    """The guardrails that allowed an act, with their numbers, for the trail."""
    rest = "no act before" if facts.last_act_at is None else f"last act {iso(facts.last_act_at)}"
    limits = {
        "cooldown": facts.cooldown and f"{spoken(facts.cooldown)}, {rest}",
        "budget": facts.budget and facts.budget.words,
        "service budget": facts.service_budget and facts.service_budget.words,
        "at once": facts.at_once and facts.at_once.words,
    }
    always = ["kill switch: off", "maintenance: none", "claim: ours", "grant: open", f"mode: {facts.mode}"]
    return always + [f"{name}: {words}" for name, words in limits.items() if words]


def judge(facts: Facts) -> Refusal | None:
    """None if every guardrail agrees, else the first refusal. The most protective are judged first."""
    return _stopped(facts) or _no_right(facts) or _too_much(facts)


def _stopped(facts: Facts) -> Refusal | None:
    """The rules by which people stop all acts."""
    if facts.pauses:
        return Refusal(
            "kill switch",
            f"acting is paused: {'; '.join(pause.words for pause in facts.pauses)}",
            f"to allow acts again: {', '.join(f'`{pause.resume}`' for pause in facts.pauses)}",
        )
    if facts.window is not None:
        return Refusal("maintenance", facts.window.words, f"`{facts.window.end}` ends the maintenance")
    return None


def _no_right(facts: Facts) -> Refusal | None:
    """The rules on whose incident, target and change it is."""
    if facts.state is not State.WORKING:
        return Refusal("incident", f"the incident is {facts.state}, not ours to act on", facts.by_hand)
    if facts.attempt != facts.current_attempt:
        return Refusal(
            "claim",
            f"attempt {facts.attempt} was given up; attempt {facts.current_attempt} has the incident",
            "nothing to do",
        )
    if not facts.claim_is_ours:
        return Refusal(
            "claim", "the claim on the target was lost or taken over", "look who holds it: `paramedic incident list`"
        )
    if facts.lease_until is None or facts.lease_until <= facts.now:
        return Refusal("claim", "the claim's lease has run out", "look whether the machine was stopped or overloaded")
    if facts.open_act is not None:
        return Refusal(
            "open act",
            f"{facts.open_act} has no outcome yet",
            "look at the target, then `paramedic incident resolve` its incident",
        )
    if facts.grant != "open":
        return Refusal(
            "grant",
            f"the one permission for this change is {facts.grant or 'missing: the incident has used it up'}",
            facts.by_hand,
        )
    if facts.withdrawn is not None:
        return Refusal("runbook", facts.withdrawn, facts.by_hand)
    if facts.mode not in ("act", "ask"):
        return Refusal(
            "mode", f"the runbook's mode is {facts.mode}: it says what it would do and does nothing", facts.by_hand
        )
    return None


def _too_much(facts: Facts) -> Refusal | None:
    """The rules on how much was changed already."""
    if facts.cooldown is not None and facts.last_act_at is not None and facts.now < facts.last_act_at + facts.cooldown:
        return Refusal(
            "cooldown",
            f"{facts.target} was acted on at {iso(facts.last_act_at)} and the cooldown is {spoken(facts.cooldown)}: "
            f"until {iso(facts.last_act_at + facts.cooldown)}",
            f"a second change this soon needs a person: {facts.by_hand}",
        )
    if facts.budget is not None and facts.budget.free_at is not None:
        return _over("budget", facts.budget, f"acts on {facts.target}", facts)
    if facts.service_budget is not None and facts.service_budget.free_at is not None:
        return _over("service budget", facts.service_budget, f"acts on service {facts.service}", facts)
    if facts.at_once is not None and len(facts.at_once.busy) >= facts.at_once.count:
        busy = facts.at_once.busy
        return Refusal(
            "at once",
            f"{len(busy)} of service {facts.service}'s {facts.at_once.of} targets have a change that is not verified yet "
            f"({', '.join(busy[:5])}), and {facts.at_once.count} may have one at a time",
            f"wait until those are well, or {facts.by_hand}",
        )
    if facts.asks or facts.mode == "ask":
        return _unapproved(facts)  # last: nobody is asked about what could not be done anyway
    return None


def _over(guardrail: str, spent: Spent, what: str, facts: Facts) -> Refusal:
    free = f", and the next is free at {iso(spent.free_at)}" if spent.free_at is not None else ""
    return Refusal(
        guardrail,
        f"{spent.used} of {spent.count} {what} within {spoken(spent.per)}{free}",
        f"what needs so many needs a person: {facts.by_hand}",
    )


def asks(severity: Severity, asks_from: Severity | None) -> bool:
    """Whether an incident of this severity needs a person's approval. None: never."""
    ranks = list(Severity)
    return asks_from is not None and ranks.index(severity) >= ranks.index(asks_from)


def _unapproved(facts: Facts) -> Refusal | None:
    approval = facts.approval
    if approval is None:
        return Refusal(APPROVAL, "it needs a person's approval, and nobody was asked", "do it by hand")
    match approval.answer(facts.now):
        case Answer.GRANTED if approval.means(facts.identity):
            return None
        case Answer.GRANTED:
            return Refusal(
                APPROVAL,
                f"{approval.decider} approved it for {describe_instance(approval.identity)}, "
                f"and now it is {describe_instance(facts.identity)}",
                "look why the target changed meanwhile, then do it by hand",
            )
        case Answer.EXPIRED if approval.state is Answer.ASKED:
            return Refusal(APPROVAL, approval.nobody, "do it by hand")
    return Refusal(APPROVAL, approval.decision, "do it by hand")
