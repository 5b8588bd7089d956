"""What one more sample of a check does to the state of each of its metrics, by what the store has of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from paramedic.checks.check import CheckAtTarget, Sample
from paramedic.checks.threshold import CheckState, Level, Threshold, after, begin
from paramedic.store.check_states import state_of


@dataclass(frozen=True, slots=True)
class Known:
    """What the store has of a check at a target."""

    ended_at: datetime | None  # when an incident on the target last ended
    earlier: Sequence[Sample]  # the samples of its window that count, oldest first
    rows: Mapping[str, Row[Any]]  # of `check_states`, by metric
    rates: Mapping[str, float] = field(default_factory=dict)  # its burn rates with the sample, by metric


@dataclass(frozen=True, slots=True)
class Step:
    """The effect of one more sample on one metric."""

    threshold: Threshold
    value: float | None
    row: Row[Any] | None
    before: CheckState
    now: CheckState

    @property
    def is_change(self) -> bool:
        """Whether its state changed in a way that the trail or the mass-failure count depends on."""
        seen, saw = self.now.unknown_since is None, self.before.unknown_since is None
        return self.now.known is not self.before.known or seen is not saw

    def columns(self, placed: CheckAtTarget, now: datetime, why: str) -> dict[str, Any]:
        """What the metric's row says from now on; `why`: what the sample saw, in words."""
        over = self.now.over or {}
        stands: dict[str, Any] = {
            "service": placed.target.service,
            "known": self.now.known,
            "since": self.now.since,
            "sampled_at": self.now.sampled_at,
            "unknown_since": self.now.unknown_since,
            "warning_since": over.get(Level.WARNING),
            "critical_since": over.get(Level.CRITICAL),
            "why": why,
            "stale_at": now + gap(placed),
        }
        return stands if self.value is None else stands | {"value": self.value}


@dataclass(frozen=True, slots=True)
class Judged:
    """A sample's values, those of the metrics among them, and its effect on each metric."""

    values: Mapping[str, float] | None
    steps: Sequence[Step]


def judged(placed: CheckAtTarget, seen: Sample, known: Known) -> Judged:
    """The effect of the sample, taken at `seen.at`."""
    check = placed.check
    metrics = {**check.metrics([*known.earlier, seen], filled=True), **known.rates}
    steps = []
    for threshold in check.thresholds:
        row = known.rows.get(threshold.metric)
        before = begin(seen.at) if row is None else state_of(row).standing
        if known.ended_at is not None and before.sampled_at <= known.ended_at:
            before = begin(known.ended_at)
        value = counted = metrics.get(threshold.metric)
        if value is not None and check.by(threshold.metric) is not None:
            # The states of its subjects say which of them is ill: of all together it says whether it is seen.
            counted = 0.0
        steps.append(Step(threshold, value, row, before, after(threshold, before, seen.at, counted, gap=gap(placed))))
    return Judged(None if seen.values is None else {**seen.values, **metrics}, steps)


def gap(placed: CheckAtTarget) -> timedelta:
    """The time without a sample after which the state is unknown."""
    return max(placed.check.unknown_after, 3 * placed.check.every)
