"""The log of a round of checks: a line where one ceases to be well or is well again, and one that sums the round up."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from paramedic.alerts.alert import Alert, Status
from paramedic.checks.check import CheckAtTarget
from paramedic.checks.threshold import CheckState, Level
from paramedic.machine.clock import spoken
from paramedic.store.checks import Metric, Recorded
from paramedic.text.local_time import ago

#: A check that is well and broken by turns fills no log: in one round it has so many lines.
_LINES = 20

#: So many checks that were not well are named at the end.
_NAMED = 20

_WELL = "well"


class RoundLog:
    """Says what the samples of one round show, once for each change of it: rounds are many, and mostly all is well."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._stood: dict[
            tuple[str, str, str, str | None], str
        ] = {}  # by check, target, metric and subject: what is not well
        self._lines: Counter[str] = Counter()
        self._not_well: Counter[str] = Counter()
        self._samples = self._lost = 0

    def see(self, placed: CheckAtTarget, recorded: Recorded) -> None:
        """Say what has changed by this sample, with its numbers and what followed."""
        self._samples += 1
        called = f"{placed.name} at {placed.target.id}"
        if any(_standing(metric) != _WELL for metric in recorded.metrics):
            self._not_well[called] += 1
        alerts = {_of_alert(placed, alert): alert for alert in recorded.alerts}
        for metric in recorded.metrics:
            name = metric.threshold.metric
            key, stands = (placed.name, placed.target.id, name, metric.subject), _standing(metric)
            alert = alerts.get((name, metric.subject))
            if self._stood.get(key, _WELL) != stands or alert is not None:
                self._line(
                    called, f"{_words(metric, stands, recorded.why)}{_followed(alert, recorded.held_back, stands)}"
                )
            self._stood.pop(key, None)
            if stands != _WELL:
                self._stood[key] = stands

    def lose(self, placed: CheckAtTarget, why: str) -> None:
        """A sample could not be kept: say so of the first, and count them all."""
        self._lost += 1
        if self._lost == 1:
            self._say(
                f"a sample of {placed.name} at {placed.target.id} could not be kept, and further ones are counted: {why}"
            )

    def sum_up(self, checks: int) -> None:
        """Say how many samples there were, and which checks were not well."""
        of = f"{self._samples} sample{'' if self._samples == 1 else 's'} of {checks} check{'' if checks == 1 else 's'}"
        of += f", and {self._lost} that could not be kept" if self._lost else ""
        if not self._not_well:
            self._say(f"{of}: all well" if self._samples else of)
            return
        named = [f"{called} ({count})" for called, count in self._not_well.most_common(_NAMED)]
        more = len(self._not_well) - len(named)
        self._say(f"{of}; not well, in so many samples: {', '.join(named)}{f', and {more} others' if more else ''}")

    def _line(self, called: str, words: str) -> None:
        self._lines[called] += 1
        if self._lines[called] <= _LINES:
            self._say(f"{called}: {words}")
        elif self._lines[called] == _LINES + 1:
            self._say(f"{called} goes on changing; further changes in this round are not written here")


def _standing(metric: Metric) -> str:
    """How the metric stands, in a word."""
    standing = metric.standing
    if standing.unknown_since is not None:
        return "not seen"
    if standing.breached:
        return standing.known.value
    return "past its bound" if standing.over else _WELL


def _of_alert(placed: CheckAtTarget, alert: Alert) -> tuple[str, str | None]:
    metric = alert.labels["metric"]
    label = placed.check.by(metric)
    return metric, None if label is None else alert.labels.get(label)


def _words(metric: Metric, stands: str, why: str) -> str:
    threshold = metric.threshold
    value = "" if metric.value is None else f" {threshold.unit.spoken(metric.value)}"
    bounds = threshold.spoken() + (f", for {spoken(threshold.held_for)}" if threshold.held_for else "")
    seen = f": {why}" if why else ""
    whose = f" of {metric.subject}" if metric.subject is not None else ""
    return f"{threshold.metric}{whose}{value} is {stands}{_for_how_long(metric.standing)} ({bounds}){seen}"


def _for_how_long(standing: CheckState) -> str:
    """For how long it has stood so, where it did before this sample."""
    if standing.level is Level.OK:
        return ""
    lasted = standing.sampled_at - (standing.unknown_since or standing.since)
    return f" for {ago(lasted)} now" if lasted >= timedelta(seconds=1) else ""


def _followed(alert: Alert | None, held_back: str | None, stands: str) -> str:
    if alert is not None:
        return "; its alert fires" if alert.status is Status.FIRING else "; its alert is over"
    return f"; not reported: {held_back}" if held_back and stands != _WELL else ""
