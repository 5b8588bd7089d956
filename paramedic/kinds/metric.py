"""A probe's metric: its unit and bounds, and how its value (a percentile, a share) is computed from a window's samples."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import BaseModel

from paramedic.kinds.percentile import percentile
from paramedic.text.quantity import Unit, quantity

#: Whether an exchange failed, 1 or 0, and how long it took, in seconds, also where it failed.
ERROR, LATENCY = "error", "latency"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")

#: Keys of a check that mean something else.
_TAKEN = ("alert", "check", "made", "name", "every", "timeout", "window", "unknown_after")


def can_be_key(name: str) -> bool:
    """Whether a probe may give the checks a key of this name."""
    return bool(_NAME.fullmatch(name)) and name not in _TAKEN and not hasattr(BaseModel, name)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, a key of the checks that measure it. Raises ValueError where its name or its bounds are not allowed."""

    name: str
    units: tuple[Unit, ...]  # that a bound may be written in
    below: bool = False  # broken at and under its bounds, not at and over them
    warning: str | None = None  # the bounds where an author names none, as an author writes them
    critical: str | None = None
    at_most: str | None = None  # the largest bound that a value can reach
    held_for: timedelta = timedelta(minutes=1)  # how long a bound must be passed, unless the author says
    percentile: int | None = None  # of the raw values in the window, by nearest rank; else the last one counts
    by: str | None = (
        None  # the label of its alerts that has the subject, where each subject has a value and a state of its own
    )
    burns: tuple[timedelta, timedelta] | None = (
        None  # how fast errors use up the budget of `objective`, over the long and the short window: the smaller counts
    )
    budget: float | None = None  # the share of looks that may be errors, where `burns` and the check has an objective
    share: bool = False  # how many in a hundred of the raw values in the window, each 1 or 0, are 1
    raw: Mapping[Unit, str] = field(default_factory=dict, hash=False)  # the raw value, where it has another name

    def __post_init__(self) -> None:
        if not can_be_key(self.name):
            raise ValueError(f"a metric cannot be called {self.name!r:.80}: it is a key of a check")
        if not self.units:
            raise ValueError(f"the metric {self.name} has no unit")
        if (self.percentile is not None or self.share) and any(self.of(unit) == self.name for unit in self.units):
            raise ValueError(f"the metric {self.name} is of a window: its raw value has another name")
        if self.by is not None and (
            self.below or self.share or self.percentile is not None or not _NAME.fullmatch(self.by)
        ):
            raise ValueError(
                f"the metric {self.name} is by subject: it is over its bounds, of one look, and its label a name"
            )
        for bound in (self.warning, self.critical):
            if bound is not None:
                quantity(bound, self.units, at_most=self.at_most)

    @property
    def is_shipped_with_bounds(self) -> bool:
        """Whether it applies in a check that names no metric."""
        return self.warning is not None or self.critical is not None

    @property
    def is_of_a_window(self) -> bool:
        """Whether its value is computed from a window's samples, and not from the last one."""
        return self.share or self.percentile is not None

    def of(self, unit: Unit) -> str:
        """The name of the raw value that it is computed from."""
        return self.raw.get(unit, self.name)

    def needs(self, bound: float) -> int:
        """The least number of samples in a window that can tell this bound from a single bad sample.

        A share of n samples moves in steps of 100/n: one bad sample must stay inside the bound, unless the bound means all of
        them (100%). A percentile of fewer than 100/(100 - p) samples is their worst one (nearest rank).
        """
        if self.burns is not None:
            return math.floor(1 / ((self.budget or 1.0) * bound)) + 1
        if self.share:
            return 1 if bound >= 100 else math.floor(100 / bound) + 1
        return 1 if self.percentile is None else math.ceil(100 / (100 - self.percentile))

    def value(self, window: Sequence[Mapping[str, float]], unit: Unit, *, at_least: int = 1) -> float | None:
        """The metric's value from these raw values, oldest first; None where the last of them do not have it.

        Of a percentile or a share, samples that are missing up to `at_least` count as the best one seen: a window that has only
        begun does not break a bound by one bad sample, and does by a series of them.
        """
        name = self.of(unit)
        if not self.share and self.percentile is None and self.burns is None:
            return window[-1].get(name) if window else None
        values = [sample[name] for sample in window if name in sample]
        if not values:
            return None
        values += [max(values) if self.below else min(values)] * (at_least - len(values))
        if self.percentile is not None:
            return percentile(values, self.percentile)
        share = sum(values) / len(values)
        return share / (self.budget or 1.0) if self.burns is not None else 100 * share


def _latency(rank: int, warning: str | None = None, critical: str | None = None) -> Metric:
    return Metric(
        f"latency_p{rank}",
        (Unit.SECONDS,),
        warning=warning,
        critical=critical,
        at_most="5m",  # who sees no answer waits no longer
        percentile=rank,
        raw={Unit.SECONDS: LATENCY},
    )


def _burn_rate(
    name: str, long: timedelta, short: timedelta, *, warning: str | None = None, critical: str | None = None
) -> Metric:
    return Metric(
        f"burn_{name}",
        (Unit.COUNT,),
        warning=warning,
        critical=critical,
        held_for=timedelta(0),  # the long window has waited already
        burns=(long, short),
        raw={Unit.COUNT: ERROR},
    )


_EXCHANGE = (
    _latency(50),
    _latency(90),
    _latency(95, "200ms", "300ms"),
    _latency(99),
    Metric(
        "error_rate",
        (Unit.PERCENT,),
        warning="1%",
        critical="3%",
        at_most="100%",
        share=True,
        raw={Unit.PERCENT: ERROR},
    ),
)

#: The error budget's, of a check with an `objective`: the pairs of windows and the rates of Google's SRE workbook, "Alerting on
#: SLOs". A budget of 30 days lasts for two days at 14.4, for five at 6.
BURN_RATES = (
    _burn_rate("1h", timedelta(hours=1), timedelta(minutes=5), critical="14.4"),
    _burn_rate("6h", timedelta(hours=6), timedelta(minutes=30), critical="6"),
    _burn_rate("3d", timedelta(days=3), timedelta(hours=6), warning="1"),
)

#: The metrics of every exchange with a server; its probe gives the raw values LATENCY and ERROR.
EXCHANGE = (*_EXCHANGE, *BURN_RATES)

#: Of a process, 100% is one core; of a machine, all of them.
CPU = Metric("cpu", (Unit.PERCENT,), warning="80%", critical="90%", at_most="100000%")

#: A size, or a share of the machine's; its probe gives `memory` in bytes, and `memory_percent`.
MEMORY = Metric(
    "memory",
    (Unit.BYTES, Unit.PERCENT),
    warning="80%",
    critical="90%",
    at_most="100%",
    raw={Unit.PERCENT: "memory_percent"},
)
