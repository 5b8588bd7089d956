"""What the commands of `paramedic check` say of one metric of a check at a target."""

from typing import Any

from paramedic.checks.check import CheckAtTarget
from paramedic.checks.threshold import Level, Threshold


def metric_words(
    placed: CheckAtTarget, threshold: Threshold, *, level: Level, value: float | None, why: str
) -> dict[str, Any]:
    """The metric's state and value, by the keys of `--json`; `spoken` is the value with its unit."""
    return {
        "check": placed.name,
        "target": placed.target.id,
        "metric": threshold.metric,
        "state": level.value,
        "value": value,
        "spoken": None if value is None else threshold.unit.spoken(value),
        "bounds": threshold.spoken(),
        "why": why,
    }
