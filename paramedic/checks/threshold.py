"""Thresholds: bounds, how long they must be passed, hysteresis, and the state that follows from samples."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from paramedic.text.quantity import Unit


class Level(StrEnum):
    """The level of one metric of a check."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"  # it sees nothing: neither well nor broken


@dataclass(frozen=True, slots=True)
class Threshold:
    """Bounds of one metric. `below`: values under the bounds are bad, not values over them."""

    metric: str
    unit: Unit
    warning: float | None
    critical: float | None
    held_for: timedelta  # how long a bound must be passed without a break
    hysteresis: float  # how far back inside a bound, as a share of it, a value must come to be well again
    below: bool = False

    def __post_init__(self) -> None:
        if self.warning is None and self.critical is None:
            raise ValueError("name `warning`, `critical` or both")
        if self.warning is not None and self.critical is not None and not self._passes(self.critical, self.warning):
            side = "under" if self.below else "over"
            raise ValueError(f"`critical` lies {side} `warning`")

    @property
    def mildest(self) -> float:
        """The bound that is passed first."""
        bound = self.critical if self.warning is None else self.warning
        if bound is None:
            raise AssertionError("a threshold has a bound")
        return bound

    @property
    def worst(self) -> tuple[Level, float]:
        """The level that is reached last, and its bound."""
        return (Level.WARNING, self.mildest) if self.critical is None else (Level.CRITICAL, self.critical)

    def holds(self, value: float) -> bool:
        """Whether the value is inside every bound."""
        return not self._passes(value, self.mildest)

    def passes(self, value: float, level: Level, *, established: bool) -> bool:
        """Whether the value passes the level's bound; an established level is left only by coming back past the hysteresis."""
        bound = {Level.WARNING: self.warning, Level.CRITICAL: self.critical}[level]
        if bound is None:
            return False
        if established:
            bound *= 1 + self.hysteresis if self.below else 1 - self.hysteresis
        return self._passes(value, bound)

    def _passes(self, value: float, bound: float) -> bool:
        return value <= bound if self.below else value >= bound

    def spoken(self) -> str:
        """`warning 200ms, critical 300ms`."""
        by_level = {"warning": self.warning, "critical": self.critical}
        return ", ".join(f"{name} {self.unit.spoken(bound)}" for name, bound in by_level.items() if bound is not None)


@dataclass(frozen=True, slots=True)
class CheckState:
    """The state of one metric. The last known level outlives samples that see nothing."""

    known: Level  # ok, warning or critical
    since: datetime  # when it came to `known`
    sampled_at: datetime
    unknown_since: datetime | None = None
    over: Mapping[Level, datetime] | None = None  # since when each bound is passed without a break

    @property
    def level(self) -> Level:
        """The level now."""
        return self.known if self.unknown_since is None else Level.UNKNOWN

    @property
    def breached(self) -> bool:
        """Whether it was last known to be over a bound, and no sample has shown that this ended."""
        return self.known is not Level.OK

    def began_at(self) -> datetime:
        """When the current breach began: the first value past the mildest bound that is still passed."""
        return min((self.over or {}).values(), default=self.since)


def begin(at: datetime) -> CheckState:
    """The state before the first sample: unknown."""
    return CheckState(Level.OK, at, at, unknown_since=at)


def after(threshold: Threshold, before: CheckState, at: datetime, value: float | None, *, gap: timedelta) -> CheckState:
    """The state after one more sample; `value` None is a sample that saw nothing.

    A level is reached when its bound was passed for `held_for` without a break, and left at the first value back past
    the hysteresis. Nothing seen, or no sample for longer than `gap`, neither confirms nor ends the known level, and the time
    towards a level that is not reached starts over. A sample that is older than the last one changes nothing.
    """
    if at < before.sampled_at:
        return before
    over = dict(before.over or {})
    if at - before.sampled_at > gap:
        over = _confirmed(over, before.known)
    if value is None:
        return replace(
            before,
            sampled_at=at,
            unknown_since=before.unknown_since or at,
            over=_confirmed(over, before.known),
        )
    known = Level.OK
    for level in (Level.WARNING, Level.CRITICAL):
        established = _RANK[before.known] >= _RANK[level]
        if not threshold.passes(value, level, established=established):
            over.pop(level, None)
            continue
        over.setdefault(level, at)
        if established or at - over[level] >= threshold.held_for:
            known = level
    return CheckState(known, before.since if known is before.known else at, at, over=over)


_RANK = {Level.OK: 0, Level.WARNING: 1, Level.CRITICAL: 2}


def _confirmed(over: Mapping[Level, datetime], known: Level) -> dict[Level, datetime]:
    """The bounds that support the known level; those not passed for long enough start over."""
    return {level: since for level, since in over.items() if _RANK[level] <= _RANK[known]}
