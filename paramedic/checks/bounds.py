"""The bounds of a metric, as authors write them under a check, and what can be wrong with them."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from paramedic.checks.threshold import Threshold
from paramedic.kinds.metric import Metric
from paramedic.text.model_words import At
from paramedic.text.quantity import PATTERN, PERCENT, Unit, percent, quantity
from paramedic.text.units import duration


def _as_text(written: object) -> object:
    """A bound as text: the bound of a count is a number in YAML."""
    return str(written) if isinstance(written, int | float) and not isinstance(written, bool) else written


def _share(written: object) -> object:
    return percent(written) / 100 if isinstance(written, str) else written


def _objective(written: object) -> object:
    """An objective in percent, as it is written: 99.9%. Raises ValueError where it leaves no budget, or more than half."""
    if not isinstance(written, str):
        return written
    if not 50 <= (found := percent(written)) < 100:
        raise ValueError(f"{written!r:.80} is no objective; allowed: from 50% to under 100%, as 99.9%")
    return found


#: A share of looks that are to be no error, in percent.
Objective = Annotated[float, BeforeValidator(_objective, json_schema_input_type=Annotated[str, Field(pattern=PERCENT)])]

_HeldFor = Annotated[timedelta, duration("0s", "7d")]

_QUANTITY = Annotated[str, Field(pattern=PATTERN)]
_Bound = Annotated[str, BeforeValidator(_as_text, json_schema_input_type=_QUANTITY | int | float)]


class Bounds(BaseModel):
    """`{warning: 200ms, critical: 300ms, for: 1m}`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    warning: _Bound | None = Field(default=None, description="from here on it is a warning: 200ms, 1%, 1GB")
    critical: _Bound | None = Field(default=None, description="from here on it is critical: 300ms, 3%, 1500MB")
    for_: _HeldFor | None = Field(
        default=None, alias="for", description="how long a bound must be passed without a break: 1m"
    )
    hysteresis: Annotated[
        float,
        Field(ge=0, lt=1),
        BeforeValidator(_share, json_schema_input_type=Annotated[str, Field(pattern=PERCENT)] | float),
    ] = Field(default=0.1, description="how far back inside its bound a value must come to be well again: 10%")

    def faults(self, metric: Metric) -> list[tuple[At, str]]:
        """What is wrong with them as bounds of this metric, each at its key."""
        written = [key for key in ("warning", "critical") if getattr(self, key) is not None]
        found = [found for key in written for found in fault((metric.name, key), partial(self._read, key, metric))]
        return found or list(fault((metric.name,), partial(self.threshold, metric)))

    def threshold(self, metric: Metric) -> Threshold:
        """The bounds as a threshold. Raises ValueError, saying what is allowed."""
        read = {key: self._read(key, metric) for key in ("warning", "critical") if getattr(self, key) is not None}
        if len({unit for _, unit in read.values()}) > 1:
            raise ValueError("`warning` and `critical` are of one unit")
        return Threshold(
            metric=metric.name,
            unit=next((unit for _, unit in read.values()), metric.units[0]),
            warning=read["warning"][0] if "warning" in read else None,
            critical=read["critical"][0] if "critical" in read else None,
            held_for=metric.held_for if self.for_ is None else self.for_,
            hysteresis=self.hysteresis,
            below=metric.below,
        )

    def _read(self, key: str, metric: Metric) -> tuple[float, Unit]:
        value, unit = quantity(getattr(self, key), metric.units, at_most=metric.at_most)
        if not metric.below and value <= 0:
            raise ValueError("a bound of nothing is always passed; write more than 0")
        return value, unit


def fault(at: At, judge: Callable[[], object]) -> Iterator[tuple[At, str]]:
    """The ValueError that `judge` raises, in words, with its place; nothing where it raises none."""
    try:
        judge()
    except ValueError as error:
        yield at, str(error)
