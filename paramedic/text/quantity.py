"""Quantities with a unit, as people write them: `310ms`, `3.5%`, `1.6GB`; a count has none."""

import re
from datetime import timedelta
from enum import StrEnum

from paramedic.machine.clock import spoken
from paramedic.text.units import SIZE, SPAN, SizeBetween, between


class Unit(StrEnum):
    """The unit of a value."""

    SECONDS = "seconds"
    PERCENT = "percent"
    BYTES = "bytes"
    COUNT = "count"  # a plain number, of whatever the metric counts

    def spoken(self, value: float) -> str:
        """The value as people write it: `310ms`, `3.5%`, `1.6GB`, `1200`."""
        if self is Unit.SECONDS:
            return _spoken_span(value)
        if self is Unit.COUNT:
            return _spoken_count(value)
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


def _spoken_count(value: float) -> str:
    """Whole where it is whole; small shares of one keep their digits."""
    text = f"{value:.2f}" if abs(value) >= 1 else f"{value:.6f}"
    return text.rstrip("0").rstrip(".")


_COUNT = re.compile(r"\s*(\d{1,15}(?:\.\d{1,6})?)\s*")
_PERCENT = re.compile(r"\s*(\d{1,6}(?:\.\d{1,6})?)\s?%\s*")


def percent(text: str) -> float:
    """The percentage in the text. Raises ValueError, saying what is allowed."""
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r:.80} is not a percentage; write 3%, 0.5%, 90%")
    return float(match[1])


#: As patterns of a JSON Schema.
PERCENT = rf"^{_PERCENT.pattern}$"
PATTERN = rf"^({SPAN.pattern}|{SIZE.pattern}|{_PERCENT.pattern}|{_COUNT.pattern})$"

#: Spans and sizes that a value can be compared with; each metric has its own largest bound.
_WRITTEN = {Unit.SECONDS: SPAN, Unit.PERCENT: _PERCENT, Unit.BYTES: SIZE, Unit.COUNT: _COUNT}


_SPAN, _SIZE = between("0s", "36500d"), SizeBetween(0, 10**15)


def quantity(text: object, units: tuple[Unit, ...], *, at_most: str | None = None) -> tuple[float, Unit]:
    """The value and the first of `units` that the text fits, at most `at_most` where that is of the same unit.

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
        case Unit.COUNT:
            return float(text)


_ALLOWED = {
    Unit.SECONDS: "write a duration: 200ms, 5s, 1h 30m, 21d",
    Unit.PERCENT: "write a percentage: 3%, 0.5%, 90%",
    Unit.BYTES: "write a size: 512kB, 1500MB, 1.5GiB",
    Unit.COUNT: "write a number: 3, 0.5, 1200",
}
