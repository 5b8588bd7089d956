"""When a value is too much, or too little: bounds, how long they must be passed, and the state that follows from samples."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from paramedic.machine.clock import spoken
from paramedic.text.units import SIZE, SPAN, SizeBetween, between


class Level(StrEnum):
    """What a check says of one of its metrics."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"  # it sees nothing: neither well nor broken


class Unit(StrEnum):
    """What a value is counted in."""

    SECONDS = "seconds"
    PERCENT = "percent"
    BYTES = "bytes"

    def spoken(self, value: float) -> str:
        """The value as people write it: `310ms`, `3.5%`, `1.6GB`."""
        if self is Unit.SECONDS:
            return _spoken_span(value)
        if self is Unit.PERCENT:
            return f"{value:.1f}".rstrip("0").rstrip(".") + "%"
        for factor, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
            if abs(value) >= factor:
                return f"{value / factor:.1f}".rstrip("0").rstrip(".") + name
        return f"{value:.0f}B"


def _spoken_span(seconds: float) -> str:
    day = 86_400
    if abs(seconds) >= 2 * day:
        return f"{seconds / day:.1f}".rstrip("0").rstrip(".") + "d"
    return spoken(timedelta(seconds=seconds)) or "0s"


_PERCENT = re.compile(r"\s*(\d{1,6}(?:\.\d{1,6})?)\s?%\s*")


def percent(text: str) -> float:
    """The percentage that the text says. Raises ValueError, saying what is allowed."""
    said = _PERCENT.fullmatch(text)
    if said is None:
        raise ValueError(f"{text!r:.80} is no percentage; write 3%, 0.5%, 90%")
    return float(said[1])


#: Spans and sizes that a value can be compared with; each metric has its own largest bound.
_WRITTEN = {Unit.SECONDS: SPAN, Unit.PERCENT: _PERCENT, Unit.BYTES: SIZE}
_SPAN, _SIZE = between("0s", "36500d"), SizeBetween(0, 10**15)


def quantity(text: object, units: tuple[Unit, ...], *, at_most: str | None = None) -> tuple[float, Unit]:
    """What an author wrote, in the first unit that it fits, and not more than `at_most` where that is of the same unit.

    Raises ValueError, saying what is allowed.
    """
    if not isinstance(text, str):
        raise ValueError(f"{text!r:.80} has no unit; {_ALLOWED[units[0]]}")  # noqa: TRY004 - pydantic reports ValueError
    for unit in units:
        if not _WRITTEN[unit].fullmatch(text):
            continue
        value = _value(text, unit)
        if at_most is not None and _WRITTEN[unit].fullmatch(at_most) and value > _value(at_most, unit):
            raise ValueError(f"{text!r:.80} is too much; allowed: at most {at_most}")
        return value, unit
    raise ValueError(f"{text!r:.80}: {' or '.join(_ALLOWED[unit] for unit in units)}")


def _value(text: str, unit: Unit) -> float:
    match unit:
        case Unit.SECONDS:
            return _SPAN(text).total_seconds()
        case Unit.PERCENT:
            return percent(text)
        case Unit.BYTES:
            return float(_SIZE(text))


_ALLOWED = {
    Unit.SECONDS: "write a duration: 200ms, 5s, 1h 30m, 21d",
    Unit.PERCENT: "write a percentage: 3%, 0.5%, 90%",
    Unit.BYTES: "write a size: 512kB, 1500MB, 1.5GiB",
}


@dataclass(frozen=True, slots=True)
class Threshold:
    """Bounds of one metric. `below`: it is broken under its bounds, not over them."""

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
        said = {"warning": self.warning, "critical": self.critical}
        return ", ".join(f"{name} {self.unit.spoken(bound)}" for name, bound in said.items() if bound is not None)


@dataclass(frozen=True, slots=True)
class CheckState:
    """Where one metric stands. The last known level outlives samples that see nothing."""

    known: Level  # ok, warning or critical
    since: datetime  # when it came to `known`
    sampled_at: datetime
    unknown_since: datetime | None = None
    over: Mapping[Level, datetime] | None = None  # since when each bound is passed without a break

    @property
    def level(self) -> Level:
        """What the check says now."""
        return self.known if self.unknown_since is None else Level.UNKNOWN

    @property
    def breached(self) -> bool:
        """Whether it was last known to be broken, and nothing has shown that this ended."""
        return self.known is not Level.OK

    def began_at(self) -> datetime:
        """When what is wrong now began: the first value past the mildest bound that is still passed."""
        return min((self.over or {}).values(), default=self.since)


def begin(at: datetime) -> CheckState:
    """Before the first sample nothing is known."""
    return CheckState(Level.OK, at, at, unknown_since=at)


def after(threshold: Threshold, before: CheckState, at: datetime, value: float | None, *, gap: timedelta) -> CheckState:
    """Where the metric stands after one more sample; `value` None is a look that saw nothing.

    A level is reached when its bound was passed for `held_for` on end, and left at the first value that comes back past
    the hysteresis. Nothing seen, or no sample for longer than `gap`, neither confirms nor ends what is known, and what was
    not yet reached begins anew. A sample that is older than the last one changes nothing.
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
    """Only what the known level rests on; whatever had not lasted long enough begins anew."""
    return {level: since for level, since in over.items() if _RANK[level] <= _RANK[known]}
