"""The change point of measured values: since when are they worse than before? Pure."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from math import ceil, sqrt
from statistics import median

#: A measured value and its moment.
Value = tuple[datetime, float]

#: Fewer values say nothing of what was usual before, or are a spike after.
FEWEST_BEFORE, FEWEST_AFTER = 5, 3

#: How far, in standard deviations, the ranks of both parts must be apart: of equal parts fewer than 1 in 150 are.
_APART = 2.5

#: A value is unusual that is worse than this share of those before it.
_USUAL = 0.9


@dataclass(frozen=True, slots=True)
class Shift:
    """The two parts of a series: its values before and since the change, by their medians."""

    last_before: datetime
    first_after: datetime
    before: float
    after: float
    looks_before: int
    looks_after: int


def worsened(values: Sequence[Value], *, below: bool) -> Shift | None:
    """The change to the worse that divides the values, oldest first, most clearly; None if none is clear.

    `below`: small values are the bad ones. It is found by the rank sums of both parts (Mann and Whitney, 1947; with the
    correction for ties), for every division into two parts: no distribution is assumed, and a single spike moves no rank far.
    Then it is dated: a value of a window, and a leak, become worse little by little, and the first step of that counts.
    """
    bad = [-value if below else value for _, value in values]
    best = max(_divisions(_ranks(bad)), default=None)
    if best is None or best[0] < _APART:
        return None
    at = _begins(bad, -best[1])
    if not FEWEST_BEFORE <= at <= len(values) - FEWEST_AFTER:
        return None
    numbers = [value for _, value in values]
    return Shift(
        last_before=values[at - 1][0],
        first_after=values[at][0],
        before=median(numbers[:at]),
        after=median(numbers[at:]),
        looks_before=at,
        looks_after=len(values) - at,
    )


def _begins(bad: Sequence[float], at: int) -> int:
    """Where the change at this division begins: at the first of the values just before it that were unusual by then."""
    usual = median(bad[:at])
    while at < len(bad) and bad[at] <= usual:
        at += 1
    before = sorted(bad[:at])
    while before:
        before.pop(bisect_left(before, bad[at - 1]))
        if not before or bad[at - 1] <= before[ceil(_USUAL * len(before)) - 1]:
            break
        at -= 1
    return at


def are_worse(before: Sequence[float], after: Sequence[float], *, below: bool) -> bool:
    """Whether the values after are clearly worse than those before, by the same measure; False where either are too few."""
    if len(before) < FEWEST_BEFORE or len(after) < FEWEST_BEFORE:
        return False
    ranks = _ranks([-value if below else value for value in (*before, *after)])
    return any(apart >= _APART for apart, at in _divisions(ranks) if -at == len(before))


def _divisions(ranks: Sequence[float]) -> Iterator[tuple[float, int]]:
    """For each division: how much larger the ranks of its second part are, and where it is, negated: the first counts."""
    count = len(ranks)
    if count < FEWEST_BEFORE + FEWEST_AFTER:
        return
    ties = sum(size**3 - size for size in Counter(ranks).values()) / (count * (count - 1))
    if count + 1 <= ties:  # all are equal
        return
    total = count * (count + 1) / 2
    for at, rank_sum in enumerate(accumulate(ranks), 1):
        if not FEWEST_BEFORE <= at <= count - FEWEST_AFTER:
            continue
        after = count - at
        larger = total - rank_sum - after * (after + 1) / 2  # pairs in which the later value is the larger one
        yield (larger - at * after / 2) / sqrt(at * after / 12 * (count + 1 - ties)), -at


def _ranks(numbers: Sequence[float]) -> list[float]:
    """The rank of each number, from 1; equal ones have the mean of theirs."""
    counted = Counter(numbers)
    ranks: dict[float, float] = {}
    passed = 0
    for number in sorted(counted):
        ranks[number] = passed + (counted[number] + 1) / 2
        passed += counted[number]
    return [ranks[number] for number in numbers]
