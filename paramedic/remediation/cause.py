"""Did a deployment cause the breach? Decides whether to roll back on cause, from facts, with its numbers in words. Pure.

In doubt it is no: a roll-back of a release that is not at fault takes away what somebody needs, and heals nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from paramedic.machine.clock import iso, spoken
from paramedic.machine.clock_distance import ClockDistance
from paramedic.remediation.change_point import FEWEST_BEFORE, Shift, Value, worsened
from paramedic.remediation.release import Release
from paramedic.text.quantity import Unit

#: Of the values from before the deployment at most this share may be past the bound: else it was broken before.
_PAST_BEFORE = 0.1

#: Values that came this much of the way to the bound before the deployment were becoming worse without it.
_OF_THE_WAY = 0.25

#: The last value before a deployment may be so many looks old: a breach that began in a longer time was there before it.
#: How long nothing was seen after it says nothing: a deployment makes its service silent.
_LOOKS_UNSEEN = 3


@dataclass(frozen=True, slots=True)
class Series:
    """The kept values, oldest first, of one metric whose breach is part of the incident."""

    name: str  # `error_rate of tracking-api-slow/http`
    unit: Unit
    bound: float  # the one that is passed first
    below: bool  # values at and under it are bad
    every: timedelta  # between two looks
    values: Sequence[Value]

    def past(self, value: float) -> bool:
        """Whether the value passes the bound."""
        return value <= self.bound if self.below else value >= self.bound


@dataclass(frozen=True, slots=True)
class AlertStart:
    """When an alert began, by its sender; `held_for` is how long its rule waits first, if the alert says so."""

    at: datetime
    held_for: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the deployment and of the breach. A text in place of a release says why it is not known."""

    now: datetime
    within: timedelta  # the runbook's window
    current: Release | str
    older: Release | str  # the last one before it that was seen healthy
    series: Sequence[Series] = ()
    alerts: Sequence[AlertStart] = ()  # without those that are about a series
    apart: timedelta = timedelta()  # by how much the clocks of the target and of the kept values may differ besides
    skew: timedelta = timedelta()  # by how much those of the target and of an alert's sender may
    #: How far the clock that dates the release is from ours: measured; None where it is ours; a text where it cannot be had.
    distance: ClockDistance | str | None = None

    @property
    def by_our_clock(self) -> "Facts":
        """With the release dated by our clock, and what is not sure of that as doubt about every moment."""
        if not isinstance(self.distance, ClockDistance) or isinstance(self.current, str):
            return self
        at, unsure = self.current.deployed_at, self.distance.uncertain
        ours = None if at is None else at - self.distance.apart
        current = replace(self.current, deployed_at=ours)
        return replace(self, current=current, apart=self.apart + unsure, skew=self.skew + unsure)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the deployment is the cause, the reasoning in words, and its numbers for the trail."""

    holds: bool
    words: str
    numbers: dict[str, Any] = field(default_factory=dict)


def judge(facts: Facts) -> Verdict:
    """Whether the breach began after the deployment of the current release, and the older one was healthy."""
    facts = facts.by_our_clock
    doubt = _of_the_release(facts)
    if doubt or isinstance(facts.current, str) or facts.current.deployed_at is None:
        return Verdict(holds=False, words=doubt)
    if doubt := _of_the_clock(facts):
        return _no(facts, facts.current, doubt)
    if not facts.series and not facts.alerts:
        return _no(facts, facts.current, "nothing tells when it began")
    found: list[tuple[str, datetime]] = []
    for began in _beginnings(facts, facts.current.deployed_at):
        if isinstance(began, str):
            return _no(facts, facts.current, began)
        found.append(began)
    older = facts.older.id if isinstance(facts.older, Release) else ""
    words = "; ".join(word for word, _ in found)
    return Verdict(
        holds=True,
        words=f"{_deployed(facts, facts.current)}; {words}; release {older} before it was seen healthy",
        numbers=_numbers(facts, facts.current) | {"began_at": iso(min(at for _, at in found)), "older": older},
    )


def _of_the_release(facts: Facts) -> str:
    """The doubt that the releases themselves leave; empty without one."""
    current = facts.current
    if isinstance(current, str):
        return current
    if current.deployed_at is None:
        return f"nobody knows when release {current.id} was deployed"
    age = facts.now - current.deployed_at
    if age < -facts.skew:
        return f"release {current.id} was deployed in the future, by its clock: the clocks are not to be trusted"
    if age > facts.within:
        return f"nothing was deployed so recently: release {current.id} is {spoken(age)} old"
    if current.rolled_back_to:
        return f"release {current.id} is current by a roll-back, and a roll-back is never rolled back"
    return facts.older if isinstance(facts.older, str) else ""


def _of_the_clock(facts: Facts) -> str:
    """The doubt that the clock leaves which dates the release; empty without one."""
    match facts.distance:
        case None:
            return ""
        case str(why):
            return f"how far the clock that dates it is from ours is not known: {why}"
        case ClockDistance(apart) if abs(apart) > facts.skew:
            margin = f"{spoken(facts.skew)} (PARAMEDIC_CLOCK_SKEW, and how exactly it was measured)"
            return (
                f"the clock that dates it is {_ahead(apart)} ours, and more than {margin} is not made up for: mend NTP"
            )
    return ""


def _ahead(apart: timedelta) -> str:
    return f"{spoken(abs(apart)) or '0s'} {'behind' if apart < timedelta() else 'ahead of'}"


def _beginnings(facts: Facts, deployed_at: datetime) -> Iterator[tuple[str, datetime] | str]:
    """Of each alert and series: when it began, in words and as a moment; or the doubt whether it began after the deployment."""
    for series in facts.series:
        yield _of_series(series, deployed_at, facts.apart)
    if not facts.alerts:
        return
    first = min(facts.alerts, key=lambda alert: alert.at - alert.held_for)
    began_at, later = first.at - first.held_for, first.at - first.held_for - deployed_at
    waited = f", less the {spoken(first.held_for)} that its rule waits" if first.held_for else ""
    said = f"{'its alert' if len(facts.alerts) == 1 else 'the first of its alerts'} began at {_clock(began_at)}{waited}"
    if later <= facts.skew:
        yield f"{said}, {_when(later)} the deployment{_or_near(later, facts.skew)}"
    else:
        yield f"{said}, {spoken(later)} after the deployment", began_at


def _of_series(series: Series, deployed_at: datetime, apart: timedelta) -> tuple[str, datetime] | str:
    values, name, say = series.values, series.name, series.unit.spoken
    before = [value for value in values if value[0] < deployed_at - apart]
    if len(before) < FEWEST_BEFORE:
        return f"{len(before)} looks at {name} are kept from before the deployment: too few to tell how it was then"
    if (past := sum(series.past(value) for _, value in before)) > _PAST_BEFORE * len(before):
        return f"{name} had passed its bound in {past} of {len(before)} looks before the deployment"
    earlier = worsened(before, below=series.below)
    if earlier is not None and _is_on_its_way(series, earlier):
        was = f"{say(earlier.before)}, and {say(earlier.after)} from {_clock(earlier.first_after)} on"
        return f"{name} was becoming worse before the deployment: it was {was}"
    shift = worsened(values, below=series.below)
    if shift is None or not any(series.past(value) for at, value in values if at >= shift.first_after):
        return f"{len(values)} looks at {name} show no change that could be dated"
    later, unseen = shift.first_after - deployed_at, deployed_at - shift.last_before
    if later <= apart:
        return (
            f"{name} became worse at {_clock(shift.first_after)}, {_when(later)} the deployment{_or_near(later, apart)}"
        )
    if unseen > _LOOKS_UNSEEN * series.every:
        return f"for {spoken(unseen)} before the deployment nothing was seen of {name}"
    was = f"{say(shift.before)} in {shift.looks_before} looks, and {say(shift.after)} in {shift.looks_after}"
    since = f"since {_clock(shift.first_after)}, {spoken(later)} after the deployment"
    return f"{name} was {was} {since}", shift.first_after


def _is_on_its_way(series: Series, shift: Shift) -> bool:
    """Whether the shift came so near to the bound that it may be the beginning of the breach."""
    sign = -1 if series.below else 1
    return sign * (shift.after - shift.before) >= _OF_THE_WAY * max(0.0, sign * (series.bound - shift.before))


def _no(facts: Facts, current: Release, doubt: str) -> Verdict:
    words = f"{_deployed(facts, current)}, and is not shown to be the cause: {doubt}"
    return Verdict(holds=False, words=words, numbers=_numbers(facts, current))


def _numbers(facts: Facts, current: Release) -> dict[str, Any]:
    return {
        "release": current.id,
        "deployed_at": None if current.deployed_at is None else iso(current.deployed_at),
        "within_seconds": facts.within.total_seconds(),
        "clocks_apart_seconds": facts.apart.total_seconds(),
        "clock_skew_seconds": facts.skew.total_seconds(),
        **_measured(facts.distance),
        "looks": {series.name: len(series.values) for series in facts.series},
    }


def _measured(distance: ClockDistance | str | None) -> dict[str, float]:
    if not isinstance(distance, ClockDistance):
        return {}
    apart, uncertain = distance.apart.total_seconds(), distance.uncertain.total_seconds()
    return {"clock_distance_seconds": round(apart, 3), "clock_uncertain_seconds": round(uncertain, 3)}


def _deployed(facts: Facts, current: Release) -> str:
    at = current.deployed_at or facts.now
    allowed = (
        f" (its clock is {_ahead(facts.distance.apart)} ours)" if isinstance(facts.distance, ClockDistance) else ""
    )
    return f"release {current.id} was deployed at {_clock(at)}, {spoken(facts.now - at) or '0s'} ago{allowed}"


def _when(later: timedelta) -> str:
    if later < timedelta():
        return f"{spoken(later)[1:]} before"
    return f"{spoken(later)} after" if later else "at the moment of"


def _or_near(later: timedelta, margin: timedelta) -> str:
    """Said of what lies so near to the deployment that clocks cannot tell which was first."""
    return f", and the clocks may differ by {spoken(margin)}" if abs(later) <= margin and margin else ""


def _clock(moment: datetime) -> str:
    return f"{iso(moment)[:19]}Z"
