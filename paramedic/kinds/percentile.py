"""The percentile of a window of values, by nearest rank."""

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], rank: int) -> float:
    """By nearest rank: the smallest value that at least `rank` percent of them do not exceed. Of none: ValueError."""
    if not values:
        raise ValueError("a percentile of nothing")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(rank / 100 * len(ordered)) - 1)]
