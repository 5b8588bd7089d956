"""An incident and its state machine: one problem on one target for as long as it lasts."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from paramedic.alerts.alert import Severity
from paramedic.incidents.outcome import Ending
from paramedic.incidents.tier import Tier


class State(StrEnum):
    """The states of an incident."""

    OPEN = "open"  # opened, no playbook has begun
    WORKING = "working"  # an attempt holds it
    HANDED_OVER = "handed_over"  # a person is being told; rungs climb until somebody acknowledges
    ACKNOWLEDGED = "acknowledged"  # a named human has it
    RESOLVED = "resolved"  # ended


class IllegalMove(Exception):
    """The state machine does not allow this move; the message names both states and why."""


_MOVES: dict[State, frozenset[State]] = {
    State.OPEN: frozenset({State.WORKING, State.HANDED_OVER, State.ACKNOWLEDGED, State.RESOLVED}),
    State.WORKING: frozenset({State.WORKING, State.HANDED_OVER, State.ACKNOWLEDGED, State.RESOLVED}),
    State.HANDED_OVER: frozenset({State.ACKNOWLEDGED, State.RESOLVED}),
    State.ACKNOWLEDGED: frozenset({State.HANDED_OVER, State.ACKNOWLEDGED, State.RESOLVED}),
    State.RESOLVED: frozenset(),
}


def move(before: State, after: State) -> State:
    """The new state. Raises IllegalMove for a move that the state machine does not have.

    Handed over stays handed over: nothing here leads back to OPEN or WORKING. Automation acts again on a new incident,
    after a person has ended this one, or by a person's word: `retry`. What a playbook has ended has one way back: `reopen`.
    From ACKNOWLEDGED back to HANDED_OVER it goes when an acknowledgement has lasted long enough and the incident is not
    over, and when an incident becomes worse than what was acknowledged.
    """
    if after not in _MOVES[before]:
        allowed = ", ".join(sorted(_MOVES[before])) or "nothing: it has ended"
        raise IllegalMove(f"an incident that is {before} cannot become {after}; allowed: {allowed}")
    return after


def reopen(state: State, ending: Ending | None) -> State:
    """OPEN, for an incident that a playbook resolved and that came back. Raises IllegalMove.

    An incident that a person had, or ended, is never reopened.
    """
    if state is not State.RESOLVED or ending not in (Ending.RECOVERED, Ending.REMEDIATED):
        raise IllegalMove(f"an incident that is {state} ({ending or 'no ending'}) is not opened again")
    return State.OPEN


def retry(state: State) -> State:
    """OPEN, for an incident that people have and that one of them wants tried again. Raises IllegalMove."""
    if state not in (State.HANDED_OVER, State.ACKNOWLEDGED):
        raise IllegalMove(f"an incident that is {state} is not tried again")
    return State.OPEN


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident, as the store had it when it was read."""

    store: str
    number: int
    service: str
    target: str  # canonical id, or what the alert said where no listed target was meant
    title: str
    severity: Severity
    state: State
    attempt: int
    policy: str
    opened_at: datetime
    runbook: str | None = None
    runbook_version: str | None = None
    ending: Ending | None = None
    because: str | None = None
    ended_at: datetime | None = None
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    reopened_at: datetime | None = None
    acknowledged_severity: Severity | None = None
    first_acknowledged_at: datetime | None = None  # by whomever; acknowledged_at is that of the person who has it
    resolved_by: str | None = None  # a person's id
    retried_attempt: int | None = (
        None  # the last one that a person raised: acts before it no longer count for its ladder
    )
    tier: Tier = Tier.STANDARD  # of its service, when it was opened

    @property
    def id(self) -> str:
        """Its name for people: `INC-42`."""
        return name(self.number)

    @property
    def outcome(self) -> str:
        """What came of it, in words: `remediated`, `handed over`, `resolved by ada`; empty as long as nothing has."""
        if self.state is State.RESOLVED and self.ending is not None and self.ending.needs_a_person:
            return f"resolved by {self.resolved_by or 'a person'}"
        return str(self.ending or "").replace("_", " ")

    @property
    def standing(self) -> str:
        """Its state and what came of it, in words: `acknowledged, handed over`, `resolved by ada`."""
        state = self.state.replace("_", " ")
        if self.outcome.startswith(state):
            return self.outcome
        return f"{state}, {self.outcome}" if self.outcome else state

    def taken_from(self, by: str) -> str | None:
        """The person from whom `by` takes it by an acknowledgement; None where nobody else had it last."""
        return None if self.acknowledged_by == by else self.acknowledged_by

    @property
    def ref(self) -> str:
        """The reference for Prefect: the id with its store's UUID, so that a new store never meets an old run."""
        return f"{self.store}/{self.id}"


def name(number: int) -> str:
    """The name of incident `number`: `INC-42`."""
    return f"INC-{number}"


_REF = re.compile(r"(?:(?P<store>[0-9a-f-]{36})/)?(?:INC-)?(?P<number>[1-9][0-9]{0,17})", re.IGNORECASE)


def parse_ref(text: str) -> tuple[str | None, int]:
    """The store's UUID (if given) and the number of `INC-42`, `42` or `<uuid>/INC-42`. Raises ValueError."""
    match = _REF.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not an incident; write INC-42")
    return match["store"], int(match["number"])
