"""What must hold before a remedy may act. Pure: the store gathers the facts, in the intent's own transaction."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from paramedic.clock import iso, spoken
from paramedic.incident import State
from paramedic.pause import Pause


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is asked, read at one moment under one lock."""

    now: datetime
    pauses: tuple[Pause, ...]  # those that stop acts for this service by this runbook
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
    acts_in_period: int  # on this target
    budget: tuple[int, timedelta] | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which guardrail said no, why with its numbers, and how a person goes on by hand."""

    guardrail: str
    reason: str
    by_hand: str


def judge(facts: Facts) -> Refusal | None:  # noqa: C901 - one question after the other is what a judgement is
    """None if every guardrail agrees, else the first that does not. What protects most is asked first."""
    if facts.pauses:
        return Refusal(
            "kill switch",
            f"acting is paused: {'; '.join(one.words for one in facts.pauses)}",
            f"to allow acts again: {', '.join(f'`{one.resume}`' for one in facts.pauses)}",
        )
    if facts.state is not State.WORKING:
        return Refusal("incident", f"the incident is {facts.state}, not ours to act on", "it belongs to its person")
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
            "open act", f"{facts.open_act} has no outcome yet", "look at the target, then `paramedic incident resolve`"
        )
    if facts.grant != "open":
        return Refusal(
            "grant",
            f"the one permission for this change is {facts.grant or 'missing'}",
            "restart it by hand if you must",
        )
    if facts.mode != "act":
        return Refusal(
            "mode", f"the runbook's mode is {facts.mode}: it says what it would do and does nothing", "do it by hand"
        )
    if facts.cooldown is not None and facts.last_act_at is not None and facts.now < facts.last_act_at + facts.cooldown:
        return Refusal(
            "cooldown",
            f"the target was acted on at {iso(facts.last_act_at)} and the cooldown is {spoken(facts.cooldown)}",
            "a second change this soon needs a person",
        )
    if facts.budget is not None and facts.acts_in_period >= facts.budget[0]:
        count, per = facts.budget
        return Refusal(
            "budget",
            f"{facts.acts_in_period} acts within {spoken(per)}, and the budget is {count}",
            "the cause needs a person",
        )
    return None
