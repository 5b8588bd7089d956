"""What to do with an alert, given what is known now. Pure: the same question gets the same answer, with its reason."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from paramedic.alert import Alert, Status
from paramedic.clock import iso, spoken
from paramedic.incident import State, name
from paramedic.maintenance import Window

#: An alert with this label is Paramedic's own message on its way back; its value is the store's UUID.
MARK = "paramedic_store"


class Verdict(StrEnum):
    """What becomes of the alert."""

    OPEN = "open"
    JOIN = "join"
    REOPEN = "reopen"
    MARK_RESOLVED = "mark_resolved"
    HOLD = "hold"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict and why, in words; `until` is set for HOLD alone. What is no `news` is not kept as the last word."""

    verdict: Verdict
    reason: str
    until: datetime | None = None
    news: bool = True


@dataclass(frozen=True, slots=True)
class Said:
    """The last thing its sender said under this fingerprint."""

    status: Status
    starts_at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What is known at the moment of the decision."""

    now: datetime
    live: tuple[int, State] | None = None  # the unresolved incident of this service and target
    last: Said | None = None
    well_at: datetime | None = None  # when a playbook last saw this target well, verified
    settle: timedelta = timedelta(minutes=10)
    cured: tuple[int, datetime] | None = (
        None  # the last incident of this service and target, if a playbook ended it well
    )
    reopen_within: timedelta = timedelta(minutes=30)
    window: Window | None = None  # the maintenance that the target is in


def decide(alert: Alert, known: Known) -> Decision:
    """The verdict on one alert. Order is by what the alert says, not by arrival."""
    if MARK in alert.labels:
        return Decision(Verdict.DROP, "it is a message of Paramedic's own that came back", news=False)
    last = known.last
    stale = last is not None and alert.starts_at < last.starts_at
    if alert.status is Status.RESOLVED:
        if stale:
            return Decision(
                Verdict.DROP, f"what began at {iso(alert.starts_at)} is over; a later one began since", news=False
            )
        if known.live is None:
            return Decision(Verdict.DROP, "its sender says it is over, and no incident is open for it")
        number, state = known.live
        return Decision(
            Verdict.MARK_RESOLVED,
            f"its sender says it is over; {name(number)} is {state} and ends by its own verification or its person",
        )
    if last is not None and last.status is Status.RESOLVED and alert.starts_at <= last.starts_at:
        return Decision(Verdict.DROP, "it arrived after the message that it is over", news=False)
    return _of_firing(alert, known, news=not stale)


def _of_firing(alert: Alert, known: Known, *, news: bool) -> Decision:
    # What fires with an earlier start than its sender named before goes on firing: Alertmanager merges the alerts of
    # two Prometheus servers to the earliest start of both.
    if known.live is not None:
        number, state = known.live
        return Decision(Verdict.JOIN, f"the same service and target as {name(number)}, which is {state}", news=news)
    if known.window is not None:
        return Decision(Verdict.HOLD, f"{known.window.words}; looked at again then", known.window.ends_at, news=news)
    if known.well_at is not None and alert.starts_at <= known.well_at:
        until = known.well_at + known.settle
        well = f"the target was verified well at {iso(known.well_at)}"
        if known.now < until:
            return Decision(
                Verdict.HOLD, f"it began before {well}; looked at again when that settled", until, news=news
            )
        return Decision(Verdict.OPEN, f"it still fires, though {well}", news=news)
    if (
        known.cured is not None
        and known.cured[1] < alert.starts_at
        and known.now < known.cured[1] + known.reopen_within
    ):
        number, at = known.cured
        ended = f"{name(number)} ended well at {iso(at)}"
        later = spoken(alert.starts_at - at)
        return Decision(Verdict.REOPEN, f"{ended} and it began again {later} later: that did not last", news=news)
    return Decision(Verdict.OPEN, "nothing is open for its service and target", news=news)
