"""Figures of a remedy: what was measured before it and after it, and whether that is worse. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from paramedic.remediation.change_point import are_worse
from paramedic.text.quantity import Unit

#: Worse by less than this factor is none of the remedy's doing: it was failing before, and failing differs from look to look.
_BY_FACTOR = 1.5


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric at one moment: its value, and the raw values that it was computed from."""

    name: str  # `error_rate of tracking-api-slow/http`, `resident memory`
    unit: Unit
    below: bool  # small values are the bad ones
    value: float
    raw: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric before a remedy and after it; None where it was not measured."""

    name: str
    unit: Unit
    before: float | None
    after: float | None = None
    looks_before: int = 0
    looks_after: int = 0
    worse: bool = False

    @property
    def words(self) -> str:
        """`error_rate of shop-errors/health: 12% before, 60% after, which is worse`."""
        before, after = (
            "not measured" if value is None else self.unit.spoken(value) for value in (self.before, self.after)
        )
        return f"{self.name}: {before} before, {after} after{', which is worse' if self.worse else ''}"

    def as_json(self) -> dict[str, Any]:
        """The figure as the store and the trail hold it; values in the unit that it names."""
        return asdict(self) | {"unit": str(self.unit)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The figure that `as_json` wrote."""
        return cls(**{**fields, "unit": Unit(fields["unit"])})


def before(measured: Sequence[Measured]) -> list[Figure]:
    """The figures of a remedy that has just been judged: nothing is known after it yet."""
    return [Figure(one.name, one.unit, one.value, looks_before=len(one.raw)) for one in measured]


def compare(known: Sequence[Figure], then: Mapping[str, Measured], now: Mapping[str, Measured]) -> list[Figure]:
    """The figures with what was measured after the remedy; `then` and `now` are what was measured on both sides, by name.

    Worse is what is clearly so by the raw values of both sides, and by half or more of the value before.
    """
    names = dict.fromkeys([*(figure.name for figure in known), *now])
    values = {figure.name: figure.before for figure in known}
    return [_compared(values.get(name), then.get(name), now.get(name), known, name) for name in names]


def _compared(
    value: float | None, then: Measured | None, now: Measured | None, known: Sequence[Figure], name: str
) -> Figure:
    unit = now.unit if now is not None else next(figure.unit for figure in known if figure.name == name)
    looks = next((figure.looks_before for figure in known if figure.name == name), 0)
    if now is None:
        return Figure(name, unit, value, looks_before=looks)
    worse = (
        value is not None
        and then is not None
        and _by_much(value, now)
        and are_worse(then.raw, now.raw, below=now.below)
    )
    return Figure(name, unit, value, now.value, looks, len(now.raw), worse)


def _by_much(value: float, now: Measured) -> bool:
    if now.below:
        return now.value * _BY_FACTOR <= value
    return now.value >= value * _BY_FACTOR and now.value > 0
