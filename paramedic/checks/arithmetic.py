"""The arithmetic of a check's window: how many samples tell a bound from chance, and which times have as many."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from paramedic.checks.threshold import Level, Threshold
from paramedic.kinds.metric import Metric
from paramedic.machine.clock import spoken
from paramedic.text.quantity import Unit

#: The store keeps so many samples of a check (`paramedic.store.checks.KEEP`), with some to spare.
SAMPLES_IN_A_WINDOW = 1900

#: The shortest window that is taken where an author names none, and the longest that there is.
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=7)

_LEAST_EVERY = timedelta(milliseconds=50)

#: Times that people write, in seconds.
_ROUND = (
    *(0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 3, 5, 10, 15, 20, 30),
    *(60 * minutes for minutes in (1, 2, 3, 4, 5, 6, 10, 15, 20, 30, 45)),
    *(3600 * hours for hours in (1, 2, 3, 4, 6, 8, 12, 18, 24, 36, 48, 72, 96, 120, 144, 168)),
)


def window_for(needed: int, every: timedelta) -> timedelta:
    """The window that an author who names none gets: a minute, or as many samples as its bounds need."""
    return min(LONGEST, max(SHORTEST, every, _with(needed, every)))


def unclear(metric: Metric, threshold: Threshold, every: timedelta, window: timedelta) -> Iterator[tuple[str, str]]:
    """Each bound that no window of these times can tell from a single bad sample: its key, and what would."""
    window = metric.burns[0] if metric.burns else window
    samples = window // every
    for level, bound in ((Level.WARNING, threshold.warning), (Level.CRITICAL, threshold.critical)):
        if bound is None or (needed := metric.needs(bound)) <= samples:
            continue
        over = f"the {spoken(window)} of {metric.name}" if metric.burns else f"`window: {spoken(window)}`"
        have = f"{over} at `every: {spoken(every)}` has {samples} sample{'' if samples == 1 else 's'}"
        why = _why(metric, threshold.unit.spoken(bound), samples)
        instead = _oftener(needed, window) if metric.burns else _instead(needed, every, window)
        yield level.value, f"{why}: {have}, and it takes {needed}; {instead}"


def _why(metric: Metric, bound: str, samples: int) -> str:
    if metric.percentile is not None:
        return f"the {metric.percentile}th percentile of so few samples is the worst of them"
    if metric.burns is not None:
        return f"one bad sample alone burns the budget {bound} times too fast"
    step = "all of them" if samples <= 1 else Unit.PERCENT.spoken(100 / samples)
    return f"{bound} cannot be told from one bad sample, which is {step}"


def _instead(needed: int, every: timedelta, window: timedelta) -> str:
    if needed > SAMPLES_IN_A_WINDOW:
        return f"no more than {SAMPLES_IN_A_WINDOW} are kept: write a bound that fewer can tell"
    # rounded down, it may be so often that the window has more than are kept
    longer, oftener = _with(needed, every), max(_down(window / needed), _whole(window / SAMPLES_IN_A_WINDOW))
    ways = [f"`window: {spoken(longer)}`"] if longer <= LONGEST else []
    ways += [f"`every: {spoken(oftener)}`"] if oftener >= _LEAST_EVERY else []
    return f"write {' or '.join(ways or [f'`every: {spoken(_down(LONGEST / needed))}, window: 7d`'])}"


def _oftener(needed: int, window: timedelta) -> str:
    found = _down(window / needed)
    return f"write `every: {spoken(found)}`" if found >= _LEAST_EVERY else "write a lower `objective`"


def needed(metrics: Sequence[Metric], thresholds: Sequence[Threshold]) -> int:
    """The number of samples that tell every bound from a single bad one."""
    by_name = {metric.name: metric for metric in metrics}
    plain = [threshold for threshold in thresholds if by_name[threshold.metric].burns is None]
    return max((by_name[threshold.metric].needs(threshold.mildest) for threshold in plain), default=1)


def _with(samples: int, every: timedelta) -> timedelta:
    """A window that has so many samples, and no more than are kept."""
    return min(_up(samples * every), SAMPLES_IN_A_WINDOW * every)


def _whole(span: timedelta) -> timedelta:
    """The span in whole milliseconds, none cut off."""
    return timedelta(milliseconds=-(-span // timedelta(milliseconds=1)))


def _up(span: timedelta) -> timedelta:
    """The first span from this one on that people write."""
    seconds = span.total_seconds()
    return timedelta(seconds=next((each for each in _ROUND if each >= seconds), seconds))


def _down(span: timedelta) -> timedelta:
    """The last span up to this one that people write; nothing below the first."""
    return timedelta(seconds=max((each for each in _ROUND if each <= span.total_seconds()), default=0))
