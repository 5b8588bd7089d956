"""The door to probes: one look of one of them, in numbers that a threshold can be compared with."""

import math
from collections.abc import Mapping
from typing import cast

from paramedic.kinds import registry
from paramedic.kinds.probe_face import ProbeKind
from paramedic.kinds.probing import Question, SeenEach
from paramedic.kinds.registry import Room
from paramedic.machine.open_transaction import must_be_closed


def measured(kind: str, question: Question) -> SeenEach:
    """One look of the probe of this kind: finite raw values by name, and what was seen; of a metric by subject the worst.

    Raises TemporaryError or PermanentError where nothing could be seen, ValueError where a value is not a number.
    """
    must_be_closed("a target is looked at")
    probe_kind = cast("ProbeKind", registry.current().plugin(Room.PROBES, kind))
    seen = probe_kind.look(question)
    if not isinstance(seen, SeenEach):
        seen = SeenEach(*seen, {})
    numbers, each = _finite(seen.values), {subject: _finite(values) for subject, values in seen.each.items()}
    by_subject = {metric.of(unit) for metric in probe_kind.METRICS if metric.by is not None for unit in metric.units}
    worst = {name: max((values.get(name, 0.0) for values in each.values()), default=0.0) for name in by_subject}
    return SeenEach({**numbers, **worst}, str(seen.why), each)


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    numbers = {name: float(value) for name, value in values.items()}
    if strange := [name for name, value in numbers.items() if not math.isfinite(value)]:
        raise ValueError(f"{strange[0]} is {numbers[strange[0]]}")
    return numbers


def looks_by_transport(kind: str) -> bool:
    """Whether the probe of this kind looks by a transport to the target's machine: each of its waits may be a long one."""
    return getattr(registry.current().plugin(Room.PROBES, kind), "BY_TRANSPORT", False) is True
