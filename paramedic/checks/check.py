"""A measurement that Paramedic takes itself: what, where, how often, with which thresholds; and what one look has seen."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.checks.threshold import Level, Threshold
from paramedic.kinds import registry
from paramedic.kinds.registry import Room
from paramedic.remediation.target import Target
from paramedic.text.address import host_and_port
from paramedic.text.quantity import Unit, percent, quantity
from paramedic.text.units import between

#: The source of alerts that checks raise. No sender can speak under it.
SOURCE = "check"


class Kind(StrEnum):
    """What is looked at."""

    HTTP = "http"
    HEALTH = "health"  # the target's own health address
    TCP = "tcp"
    TLS = "tls"
    PROCESS = "process"  # the target's process
    HOST = "host"  # this machine
    HEARTBEAT = "heartbeat"  # somebody else says that all is well, and stays away when it is not


@dataclass(frozen=True, slots=True)
class Sample:
    """One look: raw values by name, or None where it saw nothing, and why in words."""

    at: datetime
    values: Mapping[str, float] | None
    why: str


@dataclass(frozen=True, slots=True)
class Check:
    """What is measured for each listed target of a runbook's service."""

    name: str  # within its runbook
    kind: Kind
    where: str  # an address, a heartbeat's name, a path of the disk; `{host}` stands for the target's host
    thresholds: tuple[Threshold, ...]
    every: timedelta
    timeout: timedelta
    window: timedelta  # over which percentiles and rates are taken
    unknown_after: timedelta  # seeing nothing for longer than this is told to a person

    def at(self, target: Target) -> str:
        """`where`, for this target."""
        return self.where.replace("{host}", target.host)

    def metrics(self, samples: Sequence[Sample]) -> dict[str, float]:
        """Every metric with a threshold that these samples, oldest first, tell; none where the last saw nothing."""
        if not samples or samples[-1].values is None:
            return {}
        begins = samples[-1].at - self.window
        seen = [one.values for one in samples if one.values is not None and one.at > begins]
        found = {one.metric: _metric(one, seen) for one in self.thresholds}
        return {name: value for name, value in found.items() if value is not None}


#: An exchange that failed is told by this raw value: 1 or 0. Its `latency` is how long it took all the same.
ERROR, LATENCY = "error", "latency"

_PERCENTILE = re.compile(r"latency_p(\d{2})")


def _metric(threshold: Threshold, seen: Sequence[Mapping[str, float]]) -> float | None:
    if threshold.metric == "error_rate":
        return 100 * sum(one[ERROR] for one in seen) / len(seen)
    rank = _PERCENTILE.fullmatch(threshold.metric)
    if rank is not None:
        return percentile([one[LATENCY] for one in seen], int(rank[1]))
    return seen[-1].get(raw(threshold))


def raw(threshold: Threshold) -> str:
    """The name of the raw value that the threshold is about: memory is told in bytes and in percent."""
    return "memory_percent" if (threshold.metric, threshold.unit) == ("memory", Unit.PERCENT) else threshold.metric


def percentile(values: Sequence[float], rank: int) -> float:
    """By nearest rank: the smallest value that at least `rank` percent of them do not exceed. Of none: ValueError."""
    if not values:
        raise ValueError("a percentile of nothing")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(rank / 100 * len(ordered)) - 1)]


# --- what it says -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CheckAtTarget:
    """A check of a runbook, at one target."""

    runbook: str
    check: Check
    target: Target

    @property
    def name(self) -> str:
        """What people call it: `tracking-api-slow/http`."""
        return f"{self.runbook}/{self.check.name}"

    def alert(
        self, threshold: Threshold, level: Level, *, value: float | None, began_at: datetime, ended_at: datetime | None
    ) -> Alert:
        """It fires, or, with `ended_at`, is over. The severity is no part of what makes it the same alert."""
        labels = labels_of(self.runbook, self.check.name, self.target) | {
            "alertname": f"{self.runbook} {threshold.metric}",
            "metric": threshold.metric,
        }
        said = "unknown" if value is None else threshold.unit.spoken(value)
        severity = Severity.CRITICAL if level is Level.CRITICAL else Severity.WARNING
        return Alert(
            source=SOURCE,
            name=labels["alertname"],
            severity=severity,
            status=Status.FIRING if ended_at is None else Status.RESOLVED,
            starts_at=began_at,
            ends_at=ended_at,
            fingerprint=fingerprint(SOURCE, labels),
            labels=labels | {"severity": severity.value},
            annotations={
                "summary": f"{threshold.metric} of {self.target.id} is {said} ({threshold.spoken()})",
                "measured": self.check.at(self.target),
            },
            value=said,
        )


def labels_of(runbook: str, check: str, target: Target) -> dict[str, str]:
    """What an alert about this target says of it: enough for any runbook's target to be found by."""
    named = registry.current().plugin(Room.TARGETS, target.kind).LABEL
    return {
        "runbook": runbook,
        "check": check,
        "service": target.service,
        "instance": target.host,
        "host": target.host,
        named: target.name,
    }


# --- as authors write it ----------------------------------------------------------------------------------------------

_UNITS: dict[str, tuple[Unit, ...]] = {
    "error_rate": (Unit.PERCENT,),
    "cpu": (Unit.PERCENT,),
    "memory": (Unit.BYTES, Unit.PERCENT),
    "disk": (Unit.PERCENT,),
    "expires_in": (Unit.SECONDS,),
    "missing_for": (Unit.SECONDS,),
}

_LATENCIES = ("latency_p50", "latency_p90", "latency_p95", "latency_p99")

#: Every metric, and where it can be measured.
METRICS: dict[Kind, tuple[str, ...]] = {
    Kind.HTTP: (*_LATENCIES, "error_rate"),
    Kind.HEALTH: (*_LATENCIES, "error_rate"),
    Kind.TCP: (*_LATENCIES, "error_rate"),
    Kind.TLS: ("expires_in",),
    Kind.PROCESS: ("cpu", "memory"),
    Kind.HOST: ("cpu", "memory", "disk"),
    Kind.HEARTBEAT: ("missing_for",),
}

#: What holds where an author names no bounds.
_SHIPPED: dict[str, tuple[str, str]] = {
    "latency_p95": ("200ms", "300ms"),
    "error_rate": ("1%", "3%"),
    "cpu": ("80%", "90%"),
    "memory": ("80%", "90%"),
    "disk": ("80%", "90%"),
    "expires_in": ("21d", "7d"),
}

_BELOW = ("expires_in",)

#: The largest bound that a value can reach: shares of a whole end at 100%, and who sees no answer waits no longer.
_MOST: dict[str, str] = {
    "error_rate": "100%",
    "disk": "100%",
    "cpu": "100000%",
    "memory": "100%",
    "expires_in": "36500d",
    "missing_for": "365d",
} | dict.fromkeys(("latency_p50", "latency_p90", "latency_p95", "latency_p99"), "5m")

_MINUTE = timedelta(minutes=1)

#: How long a bound must be passed, unless the author says: what ebbs and flows needs time, a date does not.
_HELD_FOR: dict[str, timedelta] = {"expires_in": timedelta(0), "missing_for": timedelta(0)}


def _share(said: object) -> object:
    return percent(said) / 100 if isinstance(said, str) else said


_Every = Annotated[timedelta, BeforeValidator(between("50ms", "1d"), json_schema_input_type=str)]
_Timeout = Annotated[timedelta, BeforeValidator(between("10ms", "5m"), json_schema_input_type=str)]
_Window = Annotated[timedelta, BeforeValidator(between("50ms", "7d"), json_schema_input_type=str)]
_UnknownAfter = Annotated[timedelta, BeforeValidator(between("50ms", "7d"), json_schema_input_type=str)]
_HeldFor = Annotated[timedelta, BeforeValidator(between("0s", "7d"), json_schema_input_type=str)]

#: The store keeps so many samples of a check (`paramedic.store.checks.KEEP`), with some to spare.
_SAMPLES_IN_A_WINDOW = 1900


class Bounds(BaseModel):
    """`{warning: 200ms, critical: 300ms, for: 1m}`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    warning: str | None = None
    critical: str | None = None
    for_: _HeldFor | None = Field(default=None, alias="for")
    hysteresis: Annotated[float, Field(ge=0, lt=1), BeforeValidator(_share, json_schema_input_type=str)] = 0.1

    def threshold(self, metric: str) -> Threshold:
        """The threshold that these bounds are. Raises ValueError, saying what is allowed."""
        units = (Unit.SECONDS,) if metric in _LATENCIES else _UNITS[metric]
        read = {
            name: quantity(text, units, at_most=_MOST.get(metric))
            for name in ("warning", "critical")
            if (text := getattr(self, name)) is not None
        }
        if metric not in _BELOW and any(value <= 0 for value, _ in read.values()):
            raise ValueError("a bound of nothing is always passed; write more than 0")
        if len({unit for _, unit in read.values()}) > 1:
            raise ValueError("`warning` and `critical` are of one unit")
        return Threshold(
            metric=metric,
            unit=next((unit for _, unit in read.values()), units[0]),
            warning=read["warning"][0] if "warning" in read else None,
            critical=read["critical"][0] if "critical" in read else None,
            held_for=_HELD_FOR.get(metric, _MINUTE) if self.for_ is None else self.for_,
            hysteresis=self.hysteresis,
            below=metric in _BELOW,
        )


class CheckSpec(BaseModel):
    """One check under `when`, as it is written; `check()` makes it."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    check: str | None = None
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._{}-]{1,100}$")
    every: _Every = timedelta(seconds=15)
    timeout: _Timeout = timedelta(seconds=2)
    window: _Window = _MINUTE
    unknown_after: _UnknownAfter = timedelta(minutes=5)
    path: str | None = Field(default=None, pattern=r"^/")
    latency_p50: Bounds | None = None
    latency_p90: Bounds | None = None
    latency_p95: Bounds | None = None
    latency_p99: Bounds | None = None
    error_rate: Bounds | None = None
    cpu: Bounds | None = None
    memory: Bounds | None = None
    disk: Bounds | None = None
    expires_in: Bounds | None = None
    missing_for: Bounds | None = None

    def made(self) -> Check:
        """The check that was written. Raises ValueError, saying what is wrong and what is allowed."""
        kind, where = self._subject()
        if self.timeout > self.every:
            raise ValueError("`timeout` is at most `every`: one sample ends before the next begins")
        if self.window > _SAMPLES_IN_A_WINDOW * self.every:
            raise ValueError(
                f"`window` is at most {_SAMPLES_IN_A_WINDOW} times `every`: no more samples of a check are kept"
            )
        if self.every > self.unknown_after:
            raise ValueError("`every` is at most `unknown_after`: between two samples nobody is blind")
        named = {metric: bounds for metric in _ALL if (bounds := getattr(self, metric)) is not None}
        strange = [metric for metric in named if metric not in METRICS[kind]]
        if strange:
            raise ValueError(f"`{strange[0]}` is not measured there; allowed: {', '.join(METRICS[kind])}")
        if not named:
            named = {
                metric: Bounds(warning=warning, critical=critical)
                for metric, (warning, critical) in _SHIPPED.items()
                if metric in METRICS[kind]
            }
        if not named:
            raise ValueError(f"name a bound for {' or '.join(METRICS[kind])}")
        return Check(
            name=self.name or kind,
            kind=kind,
            where=where,
            thresholds=tuple(_threshold(metric, bounds) for metric, bounds in named.items()),
            every=self.every,
            timeout=self.timeout,
            window=max(self.window, self.every),
            unknown_after=self.unknown_after,
        )

    def _subject(self) -> tuple[Kind, str]:
        """What is looked at, and where."""
        said = self.check or ""
        if self.path is not None and said != Kind.HOST:
            raise ValueError("`path` belongs to `check: host`, for its disk")
        if said == Kind.HEARTBEAT and self.name is None:
            raise ValueError("`name` the heartbeat: it is posted to /heartbeats/NAME")
        if said in (Kind.HEALTH, Kind.PROCESS):
            return Kind(said), ""
        if said == Kind.HOST:
            return Kind.HOST, self.path or "/"
        if said == Kind.HEARTBEAT:
            return Kind.HEARTBEAT, self.name or ""
        scheme = said.partition("://")[0]
        kind = {"http": Kind.HTTP, "https": Kind.HTTP, "tcp": Kind.TCP, "tls": Kind.TLS}.get(scheme)
        if kind is None:
            raise ValueError(
                f"{said!r:.80} is nothing to check; write http://…, https://…, tcp://HOST:PORT, tls://HOST:PORT, "
                "health, process, host or heartbeat"
            )
        host_and_port(said.replace("{host}", "host"), needs_port=kind is not Kind.HTTP)
        return kind, said


def _threshold(metric: str, bounds: Bounds) -> Threshold:
    try:
        return bounds.threshold(metric)
    except ValueError as error:
        raise ValueError(f"{metric}: {error}") from error


_ALL = tuple(dict.fromkeys(metric for metrics in METRICS.values() for metric in metrics))
