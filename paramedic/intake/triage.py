"""Triage: the verdict on one alert, from what is known. Pure and deterministic; every verdict has a reason."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from paramedic.alerts import severity_words
from paramedic.alerts.alert import Alert, Status
from paramedic.alerts.flapping import Flapping
from paramedic.alerts.held_back import HeldBack
from paramedic.alerts.inhibition import Inhibition
from paramedic.alerts.last_word import LastWord
from paramedic.alerts.silence import Silence
from paramedic.incidents.incident import State, name
from paramedic.machine.clock import iso, spoken
from paramedic.remediation.dependency import Down
from paramedic.remediation.maintenance import Window

#: An alert with this label is Paramedic's own message on its way back; its value is the store's UUID.
MARK = "paramedic_store"

#: How far the clock of a sender may be ahead of ours: an end later than that would silence what has not yet begun.
CLOCK_SKEW = timedelta(minutes=5)

#: How long after the word that an alert is over an older word that it fires may still arrive: a retry, or another member of
#: the sender's cluster.
LATE = timedelta(minutes=5)


#: What waits for an incident is looked at again when that is over, and in any case after this time.
LOOK_AGAIN = timedelta(minutes=5)

#: How long what depends on a service has to recover by itself once that is up again, where its runbook's `settle` is longer.
RECOVERY = timedelta(minutes=2)


class Verdict(StrEnum):
    """The possible verdicts on an alert."""

    OPEN = "open"
    JOIN = "join"
    REOPEN = "reopen"
    MARK_RESOLVED = "mark_resolved"
    ACKNOWLEDGE = "acknowledge"
    NOTE = "note"
    HOLD = "hold"
    WAIT = "wait"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict and its reason; `until`: for HOLD and WAIT alone. `is_last_word`: the alert is recorded as the last word."""

    verdict: Verdict
    reason: str
    until: datetime | None = None
    is_last_word: bool = True
    held_by: HeldBack | None = None  # of HOLD, WAIT and DROP: in one word


@dataclass(frozen=True, slots=True)
class Known:
    """The facts that a decision is based on."""

    now: datetime
    live: tuple[int, State] | None = None  # the unresolved incident of this service and target
    last: LastWord | None = None
    well_at: datetime | None = None  # when a playbook last saw this target well, verified
    settle: timedelta = timedelta(minutes=10)
    cured: tuple[int, datetime] | None = (
        None  # the last incident of this service and target, if a playbook ended it well
    )
    reopen_within: timedelta = timedelta(minutes=30)
    silence: Silence | None = None  # that matches it
    inhibited: tuple[Inhibition, str] | None = None  # the rule, and the name of an alert by which it is inhibited
    window: Window | None = None  # the maintenance that the target is in
    down: Down | None = None  # a service that its service depends on, and that is down
    flaps: Flapping | None = None  # it fires and ends again and again
    waited: tuple[int, datetime] | None = None  # the incident that it waited for, and when that was over


def bounded(alert: Alert, received_at: datetime) -> Alert:
    """The alert, with its end at most CLOCK_SKEW after its receipt."""
    latest = received_at + CLOCK_SKEW
    return alert if alert.ends_at is None or alert.ends_at <= latest else replace(alert, ends_at=latest)


def comparable(last: LastWord | None, now: datetime) -> LastWord | None:
    """The last report, if its times can be compared with the next one's: one from the future cannot.

    It is from before a clock was set back, the sender's or ours: what fires is new then, and what is over is over.
    """
    if last is None:
        return None
    latest = max(last.at, last.heard_at or last.at)
    return last if latest <= now + CLOCK_SKEW else None


def begun_again(alert: Alert, last: LastWord | None, received_at: datetime) -> Alert:
    """The alert; one that fires long after it was reported over, still with its old start, counts as starting now.

    Alertmanager resolves what Prometheus does not repeat in time. After a mere network partition the alert comes
    back unchanged. A delayed report from before the end arrives within LATE.
    """
    if last is None or last.heard_at is None or alert.status is Status.RESOLVED or is_newer(alert, last):
        return alert
    if last.status is Status.FIRING or received_at - last.heard_at <= LATE:
        return alert
    note = f"it began at {iso(alert.starts_at)}, was over at {iso(last.at)}, and fires again"
    return replace(alert, starts_at=max(received_at, last.at + timedelta(microseconds=1)), notes=(*alert.notes, note))


def is_newer(alert: Alert, last: LastWord | None) -> bool:
    """Whether the alert is the newest report under its fingerprint, in whatever order reports arrive.

    An alert that began after the last known end is live, one that began at or before it is over. Several servers behind
    one Alertmanager give one alert several starts, and its end counts for all of them that lie before it.
    """
    if last is None or alert.effective_at != last.at:
        return last is None or alert.effective_at > last.at
    return alert.status is Status.RESOLVED or last.status is Status.FIRING


def decide(alert: Alert, known: Known) -> Decision:
    """The verdict on one alert. Order is by the alert's own times, not by arrival. Notes on how it was read join the reason."""
    decision = _decide(alert, known)
    if known.waited is not None and decision.verdict in (Verdict.OPEN, Verdict.REOPEN):
        number, over_at = known.waited
        waited = f"it waited for {name(number)}, which is over since {iso(over_at)}, and still fires"
        decision = replace(decision, reason=f"{waited}; {decision.reason}")
    if not alert.notes:
        return decision
    return replace(decision, reason=f"{decision.reason}; read with changes: {'; '.join(alert.notes)}")


def _decide(alert: Alert, known: Known) -> Decision:
    if MARK in alert.labels:
        return _drop(HeldBack.OWN_MESSAGE, "it is a message of Paramedic's own that came back")
    last = known.last
    if alert.informational and (alert.status is not Status.RESOLVED or last is None or last.status is Status.RESOLVED):
        word = severity_words.shown(alert.labels.get(severity_words.LABEL, ""))
        return _drop(HeldBack.INFORMATION, f"its severity {word} is for information: it pages nobody")
    if alert.status is Status.ACKNOWLEDGED:
        return _of_acknowledged(alert, known)
    newer = is_newer(alert, last)
    if alert.status is Status.RESOLVED:
        if last is not None and last.status is Status.FIRING and not newer:
            over = f"what was over at {iso(alert.effective_at)} began again at {iso(last.at)}"
            return _drop(HeldBack.STALE, over)
        if known.live is None:
            return replace(
                _drop(HeldBack.OVER, "its sender says it is over, and no incident is open for it"), is_last_word=newer
            )
        number, state = known.live
        return Decision(
            Verdict.MARK_RESOLVED,
            f"its sender says it is over; {name(number)} is {state} and ends by its own verification or its person",
            is_last_word=newer,
        )
    if last is not None and last.status is Status.RESOLVED and not newer:
        return _drop(HeldBack.STALE, f"it began before {iso(last.at)}, when its sender says that it was over")
    return _of_firing(alert, known, is_last_word=newer)


def _drop(why: HeldBack, reason: str) -> Decision:
    """An alert that is no newest word of its sender, and has no consequence."""
    return Decision(Verdict.DROP, reason, is_last_word=False, held_by=why)


def _of_acknowledged(alert: Alert, known: Known) -> Decision:
    """The decision about an alert that a person has taken at its sender: who pages and who is paged is a matter of the incident.

    While a playbook works nothing pauses: it changes nothing that its person could not see on the incident.
    """
    taken = f"{alert.by or 'somebody'} has acknowledged it at its sender ({alert.source})"
    if known.live is None:
        return _drop(HeldBack.TAKEN, f"{taken}, and no incident is open for it")
    number, state = known.live
    if state is State.HANDED_OVER:
        return Decision(Verdict.ACKNOWLEDGE, f"{taken}: the escalation pauses", is_last_word=False)
    return Decision(Verdict.NOTE, f"{taken}; {name(number)} is {state}, and stays so", is_last_word=False)


def _of_firing(alert: Alert, known: Known, *, is_last_word: bool) -> Decision:
    """The decision about what fires and is no repetition of what its sender has ended."""
    if known.silence is not None:
        return Decision(
            Verdict.HOLD,
            known.silence.words,
            known.silence.ends_at,
            is_last_word=is_last_word,
            held_by=HeldBack.SILENCE,
        )
    # What fires with an earlier start than its sender named before goes on firing: Alertmanager merges the alerts of
    # two Prometheus servers to the earliest start of both.
    if known.live is not None:
        number, state = known.live
        if known.flaps is not None:
            return _of_flapping(alert, known, known.flaps, f"{name(number)} is {state}", is_last_word=is_last_word)
        return Decision(
            Verdict.JOIN, f"the same service and target as {name(number)}, which is {state}", is_last_word=is_last_word
        )
    waits = _that_waits(known, is_last_word=is_last_word)
    if waits is not None:
        return waits
    if known.flaps is not None:
        return _of_flapping(alert, known, known.flaps, "no incident is open for it", is_last_word=is_last_word)
    return _of_unhindered(alert, known, is_last_word=is_last_word)


def _of_flapping(alert: Alert, known: Known, flaps: Flapping, stands: str, *, is_last_word: bool) -> Decision:
    """The decision about what flaps: a person is told once, and no playbook begins. Of its turns only the last one is held."""
    if flaps.is_held and known.last is not None and alert.effective_at < known.last.at:
        return _drop(HeldBack.STALE, f"that turn is over: it began again at {iso(known.last.at)}")
    return Decision(
        Verdict.HOLD,
        f"{flaps.words}; {stands}; looked at again when it has been steady until {iso(flaps.until)}",
        flaps.until,
        is_last_word=is_last_word,
        held_by=HeldBack.FLAPPING,
    )


def _that_waits(known: Known, *, is_last_word: bool) -> Decision | None:
    """The decision about what has no incident and waits for something to end; None where it waits for nothing."""
    if known.window is not None:
        return Decision(
            Verdict.HOLD,
            f"{known.window.words}; looked at again then",
            known.window.ends_at,
            is_last_word=is_last_word,
            held_by=HeldBack.MAINTENANCE,
        )
    if known.inhibited is not None:
        rule, source = known.inhibited
        return Decision(
            Verdict.HOLD,
            f"{source} fires and inhibits it, by the rule: {rule.words}; looked at again when that is over",
            known.now + LOOK_AGAIN,
            is_last_word=is_last_word,
            held_by=HeldBack.INHIBITED,
        )
    if known.down is not None:
        return Decision(
            Verdict.WAIT,
            f"its service depends on {known.down.service}, and {known.down.words}; looked at again when that is over",
            known.now + LOOK_AGAIN,
            is_last_word=is_last_word,
            held_by=HeldBack.DEPENDENCY,
        )
    if known.waited is not None:
        number, over_at = known.waited
        until = over_at + min(RECOVERY, known.settle)
        if known.now < until:
            return Decision(
                Verdict.HOLD,
                f"{name(number)}, for which it waited, is over since {iso(over_at)}; looked at again when it had time to recover",
                until,
                is_last_word=is_last_word,
                held_by=HeldBack.RECOVERING,
            )
    return None


def _of_unhindered(alert: Alert, known: Known, *, is_last_word: bool) -> Decision:
    """The decision about what fires, has no incident, and waits for nothing else."""
    if known.well_at is not None and alert.starts_at <= known.well_at:
        until = known.well_at + known.settle
        well = f"the target was verified well at {iso(known.well_at)}"
        if known.now < until:
            return Decision(
                Verdict.HOLD,
                f"it began before {well}; looked at again when that settled",
                until,
                is_last_word=is_last_word,
                held_by=HeldBack.SETTLING,
            )
        return Decision(Verdict.OPEN, f"it still fires, though {well}", is_last_word=is_last_word)
    if (
        known.cured is not None
        and known.cured[1] < alert.starts_at
        and known.now < known.cured[1] + known.reopen_within
    ):
        number, at = known.cured
        ended = f"{name(number)} ended well at {iso(at)}"
        later = spoken(alert.starts_at - at)
        return Decision(
            Verdict.REOPEN, f"{ended} and it began again {later} later: that did not last", is_last_word=is_last_word
        )
    return Decision(Verdict.OPEN, "nothing is open for its service and target", is_last_word=is_last_word)
