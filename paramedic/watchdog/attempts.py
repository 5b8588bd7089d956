"""Stuck attempts: one whose run died, or that nobody takes, is followed by a higher one or goes to a person."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from paramedic.incidents.incident import Incident, State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.machine.clock import boottime, spoken
from paramedic.remediation.approval import Answer
from paramedic.settings import Settings
from paramedic.store import Store, Tx, acts, approvals, attempts, claims, incidents, lifecycle
from paramedic.store.attempts import Attempt
from paramedic.watchdog.prefect_status import GONE, PrefectStatus


class AttemptProgress(StrEnum):
    """The progress of an attempt's run, by the store; Prefect's state comes second."""

    UNBEGUN = "unbegun"  # Prefect has the run, and it never began here
    HOLDING = "holding"  # its claim is live
    LAPSED = "lapsed"  # its claim ran out: whoever held it is dead or stands still
    UNCLAIMED = "unclaimed"  # it began, and has no claim yet or gave it back
    WAITING = "waiting"  # it asked a person, and has no claim meanwhile
    DECIDED = "decided"  # the person has answered, and the run has not come back yet


@dataclass(frozen=True, slots=True)
class Suspect:
    """An open attempt, its progress, and the time since its last sign of life."""

    attempt: Attempt
    incident: Incident
    stand: AttemptProgress
    silent_for: timedelta


class AttemptVerdict(StrEnum):
    """The verdicts on a suspect."""

    WAIT = "wait"
    RAISE = "raise"
    HAND_OVER = "hand_over"


def unclaimed_after(settings: Settings) -> timedelta:
    """How long a run may wait in Prefect to be taken: being late alone is not a fault."""
    return max(timedelta(seconds=60), 2 * settings.claim_within)


def judge(suspect: Suspect, state: str | None, settings: Settings) -> tuple[AttemptVerdict, str]:
    """The verdict on the attempt, and why; `state` is its run's state in Prefect. Pure.

    An operator's cancel never leads to a new attempt, so a silent Prefect is waited for. A live
    claim is believed whatever Prefect says, except for a final Cancelled.
    """
    silent = suspect.silent_for
    if suspect.stand is AttemptProgress.HOLDING:
        return (
            (AttemptVerdict.HAND_OVER, _CANCELLED)
            if state == "CANCELLED"
            else (AttemptVerdict.WAIT, "its claim is live")
        )
    if suspect.stand is AttemptProgress.WAITING:
        return _judge_waiting(suspect, state, settings)
    if suspect.stand is not AttemptProgress.LAPSED and silent <= settings.claim_within:
        return AttemptVerdict.WAIT, "it may still be on its way"
    if state in ("CANCELLED", "CANCELLING"):
        return AttemptVerdict.HAND_OVER, _CANCELLED
    if state is None:
        if silent <= settings.silent_after:
            return AttemptVerdict.WAIT, "Prefect does not say what became of its run"
        return AttemptVerdict.HAND_OVER, "nothing is heard of its run, and Prefect does not say what became of it"
    if suspect.stand in (AttemptProgress.UNBEGUN, AttemptProgress.DECIDED):
        return _judge_unbegun(suspect, state, settings)
    if state == "PAUSED":
        return AttemptVerdict.HAND_OVER, "an operator paused the run in Prefect"
    how = "lost its claim" if suspect.stand is AttemptProgress.LAPSED else f"has had no claim for {spoken(silent)}"
    return AttemptVerdict.RAISE, f"the run of attempt {suspect.attempt.attempt} {how} (Prefect: {state})"


def _judge_unbegun(suspect: Suspect, state: str, settings: Settings) -> tuple[AttemptVerdict, str]:
    """The verdict about an attempt whose run has not begun, by its state in Prefect and for how long."""
    silent = suspect.silent_for
    if state in ("SCHEDULED", "PAUSED"):
        if silent <= unclaimed_after(settings):
            return AttemptVerdict.WAIT, "late alone is not a fault"
        if state == "PAUSED" and suspect.stand is AttemptProgress.DECIDED:
            return (
                AttemptVerdict.HAND_OVER,
                f"nobody resumed the run for {spoken(silent)} after a person's answer: is dispatch up?",
            )
        return AttemptVerdict.HAND_OVER, f"nobody took the run for {spoken(silent)}: is the responder up?"
    # Another attempt would ask its person again: who has answered already gets as much patience as a late run.
    grace = unclaimed_after(settings) if suspect.stand is AttemptProgress.DECIDED else 2 * settings.claim_within
    if state in ("PENDING", "RUNNING") and silent <= grace:
        return AttemptVerdict.WAIT, "a stock worker may need so long to start it"
    state_words = "is unknown to Prefect" if state == GONE else f"is {state}"
    never = (
        "never began here" if suspect.stand is AttemptProgress.UNBEGUN else "did not come back after a person's answer"
    )
    return AttemptVerdict.RAISE, f"the run of attempt {suspect.attempt.attempt} {state_words} and {never}"


def _judge_waiting(suspect: Suspect, state: str | None, settings: Settings) -> tuple[AttemptVerdict, str]:
    """The verdict on a suspended run: until its approval expires there is nothing to suspect."""
    if state in ("CANCELLED", "CANCELLING"):
        return AttemptVerdict.HAND_OVER, _CANCELLED
    if state in (None, "PAUSED", "SCHEDULED", "PENDING"):
        return AttemptVerdict.WAIT, "it waits for a person's approval"
    if state == "RUNNING" and suspect.silent_for <= settings.claim_within:
        return AttemptVerdict.WAIT, "it is about to be suspended, or has come back"
    state_words = "is unknown to Prefect" if state == GONE else f"is {state}"
    return (
        AttemptVerdict.RAISE,
        f"the run of attempt {suspect.attempt.attempt} {state_words} and waits for no approval any more",
    )


_CANCELLED = "an operator cancelled the run in Prefect"


#: States of runs that came to their end otherwise than by Paramedic's word, where they have not begun here.
_DEAD = ("CRASHED", "FAILED")

#: Where time must pass before anything is suspected.
_YOUNG = (AttemptProgress.UNBEGUN, AttemptProgress.UNCLAIMED, AttemptProgress.DECIDED)


class Attempts:
    """The look at every open attempt."""

    def __init__(
        self, store: Store, settings: Settings, prefect: PrefectStatus, steady: Callable[[], float] = boottime
    ) -> None:
        self._store = store
        self._settings = settings
        self._prefect = prefect
        self._steady = steady
        self._began = steady()

    def look(self) -> None:
        """Judge each, and carry out the verdicts. Raises StoreUnavailable."""
        if self._prefect.is_of_another_store(self._store):
            return  # whose watchdog looks at them
        with self._store.read() as tx:
            suspects = [found for attempt in attempts.open_attempts(tx) if (found := suspect(tx, attempt))]
        for case in suspects:
            if case.silent_for <= self._settings.claim_within and case.stand in _YOUNG:
                continue  # too young to ask Prefect about
            state = self._prefect.state(case.attempt.flow_run) if case.attempt.flow_run else None
            if state is None and case.attempt.flow_run:  # to this watchdog Prefect is silent for no longer than it runs
                up = timedelta(seconds=self._steady() - self._began)
                case = replace(case, silent_for=min(case.silent_for, up))  # noqa: PLW2901 - the same one, as it counts
            fate, reason = judge(case, state, self._settings)
            if fate is not AttemptVerdict.WAIT:
                self._decide(case, fate, f"{reason}{self._why(case, state)}")

    def _why(self, case: Suspect, state: str | None) -> str:
        """What Prefect has of why the run died, if it did; for one that never began, else, what to look at."""
        if state not in _DEAD or case.attempt.flow_run is None:
            return ""
        if cause := self._prefect.cause(case.attempt.flow_run):
            return f": {cause}"
        began = case.stand is not AttemptProgress.UNBEGUN
        return "" if began else ": Prefect does not say why; look at the output of the worker that took it"

    def _decide(self, before: Suspect, fate: AttemptVerdict, reason: str) -> None:
        """Act on the verdict, unless the attempt has moved while Prefect was asked."""
        number, attempt = before.attempt.incident, before.attempt.attempt
        with self._store.record() as tx:
            known = attempts.get(tx, number, attempt)
            now = suspect(tx, known) if known is not None and known.state == "open" else None
            if now is None or now.stand is not before.stand:
                return  # it moved while Prefect was asked
            if fate is AttemptVerdict.RAISE and attempt < self._settings.max_attempts:
                rungs = attempts.rungs_of(tx, number)
                attempts.raise_attempt(tx, number, after=attempt, rungs=rungs, reason=reason)
                return
            if fate is AttemptVerdict.RAISE:
                reason = f"{reason}; that was attempt {attempt} of {self._settings.max_attempts}"
            hand_over(tx, now.incident, reason)


def suspect(tx: Tx, attempt: Attempt) -> Suspect | None:
    """The attempt's progress; None where there is nothing to suspect: the outbox has it, or the incident went on."""
    incident = incidents.get(tx, attempt.incident)
    if incident.state not in (State.OPEN, State.WORKING) or incident.attempt != attempt.attempt:
        return None
    if attempt.began_at is None:
        if attempt.dispatched_at is None:
            return None
        return Suspect(attempt, incident, AttemptProgress.UNBEGUN, tx.now - attempt.dispatched_at)
    claim = claims.of_attempt(tx, attempt.incident, attempt.attempt)
    holds = claim is not None and claim.holds
    asked = approvals.newest(tx, attempt.incident)
    if asked is not None and asked.attempt == attempt.attempt and not holds:
        if asked.state is Answer.ASKED:  # while it waits, another incident may take the target's claim
            lapsed = tx.now - claim.lease_until if claim is not None and not claim.released else timedelta(0)
            return Suspect(attempt, incident, AttemptProgress.WAITING, lapsed)
        if asked.how != "prefect" and asked.decided_at and (claim is None or claim.taken_at <= asked.decided_at):
            return Suspect(attempt, incident, AttemptProgress.DECIDED, tx.now - asked.decided_at)
    if claim is None:
        return Suspect(attempt, incident, AttemptProgress.UNCLAIMED, tx.now - attempt.began_at)
    silent = tx.now - claim.lease_until
    if claim.released:
        return Suspect(attempt, incident, AttemptProgress.UNCLAIMED, silent)
    return Suspect(attempt, incident, AttemptProgress.HOLDING if holds else AttemptProgress.LAPSED, silent)


def hand_over(tx: Tx, incident: Incident, reason: str) -> None:
    """Hand the incident over to a person; an act whose outcome is open is named."""
    unsettled = acts.open_on(tx, incident.target)
    if unsettled is not None:
        reason = f"{reason}; {unsettled.words} has no outcome"
    lifecycle.hand_over(tx, incident.number, Outcome(Ending.HANDED_OVER, reason), actor="watchdog")
