"""The sampler: takes many checks' samples in parallel, each in its own thread, so that a slow one delays no other."""

import heapq
import queue
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from paramedic.checks.check import CheckAtTarget, Sample
from paramedic.machine.clock import boottime, spoken, utc_now

#: Samples are taken this share of their period earlier or later, so that not everything is asked at once.
_JITTER = 0.05

#: The longest wait between two looks at whether to go on.
_LOOK_SECONDS = 1.0

#: How long looks that have begun are waited for beyond their own time-out.
_GRACE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One sample, and whether the control probes were silent at that time."""

    sample: Sample
    blind: bool


class ControlProbes:
    """Whether this machine can see at all: at least one of the addresses that should always answer does.

    Probed only after a sample that saw something wrong, and once for several callers at the same time.
    """

    def __init__(self, addresses: Sequence[str], silent: Callable[[str], bool], *, blind: bool = False) -> None:
        """`blind` is the state known before."""
        self._addresses = addresses
        self._silent = silent
        self._lock = threading.Lock()
        self._looked_at = -1.0
        self.blind = blind and bool(addresses)

    def blind_since(self, moment: float) -> bool:
        """Whether all control addresses are silent, by a probe begun after the moment (`boottime()`). Never without addresses."""
        if not self._addresses:
            return False
        with self._lock:
            if self._looked_at <= moment:
                began_at = boottime()
                self.blind = all(self._silent(address) for address in self._addresses)
                self._looked_at = began_at
            return self.blind


@dataclass(slots=True, order=True)
class _Lane:
    """The schedule of one check at one target; the one that is due first is the least."""

    due: float
    placed: CheckAtTarget = field(compare=False)
    begun_at: float | None = field(default=None, compare=False)  # of a look that has not come back
    #: That look: what it brings, should it come back, is too old to say anything.
    given_up: bool = field(default=False, compare=False)


class Sampling:
    """Samples each check when it is due, and records the samples in the caller's thread, as many at once as are there."""

    def __init__(
        self,
        look: Callable[[CheckAtTarget], Seen],
        record: Callable[[Sequence[tuple[CheckAtTarget, Seen]]], None],
        *,
        go_on: Callable[[], None],
        most: int = 1,
    ) -> None:
        """`look` is called in threads; `record` and `go_on`, whose exceptions end the sampling, are not.

        `record` is given what was seen, in the order in which it came, `most` at once at most.
        """
        self._look = look
        self._record = record
        self._go_on = go_on
        self._most = most
        self._seen: queue.SimpleQueue[tuple[_Lane, Seen]] = queue.SimpleQueue()
        self._count = 0

    def run(self, placed: Sequence[tuple[CheckAtTarget, timedelta | None]], *, until: float) -> int:
        """Sample until the moment of `boottime()`; returns the number of recorded samples.

        Each check comes with the time since its last sample, if any: a successor keeps the
        rhythm. A sample that has not come back when the next is due, and its time-out has passed, is recorded as one that
        saw nothing, and its thread is waited for no longer.
        """
        now = boottime()
        lanes = [_Lane(now + _first_wait(check, ago), check) for check, ago in placed]
        waiting = [*lanes]
        heapq.heapify(waiting)
        while waiting and (now := boottime()) < until:
            self._go_on()
            while waiting[0].due <= now:
                self._begin(waiting[0], now)
                heapq.heapreplace(waiting, waiting[0])
            self._take(min(until, now + _LOOK_SECONDS, waiting[0].due) - boottime())
        self._wait_for_the_last(lanes)
        return self._count

    def _begin(self, lane: _Lane, now: float) -> None:
        """Begin the lane's next look; while one hangs, its sample is unknown instead."""
        check = lane.placed.check
        lane.due = now + check.every.total_seconds() * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret
        if lane.begun_at is not None:
            overdue_at = lane.begun_at + check.timeout.total_seconds() + _GRACE_SECONDS
            if now < overdue_at:  # `timeout` may be as long as `every`
                lane.due = overdue_at
                return
            lane.given_up = True
            stuck = spoken(timedelta(seconds=now - lane.begun_at))
            sample = Sample(utc_now(), None, f"a look that began {stuck} ago has not come back")
            self._hand_over([(lane, Seen(sample, blind=False))])
            return
        lane.begun_at = now
        threading.Thread(target=self._work, args=(lane,), name=lane.placed.name, daemon=True).start()

    def _work(self, lane: _Lane) -> None:
        self._seen.put((lane, self._look(lane.placed)))

    def _take(self, seconds: float) -> None:
        """The finished samples; waits for the first at most `seconds`."""
        finished = []
        with suppress(queue.Empty):
            finished.append(self._seen.get(timeout=max(0.0, seconds)))
            while len(finished) < self._most:
                finished.append(self._seen.get_nowait())
        fresh = [(lane, seen) for lane, seen in finished if not lane.given_up]
        for lane, _ in finished:
            lane.begun_at, lane.given_up = None, False
        if fresh:
            self._hand_over(fresh)

    def _hand_over(self, finished: Sequence[tuple[_Lane, Seen]]) -> None:
        self._record([(lane.placed, seen) for lane, seen in finished])
        self._count += len(finished)

    def _wait_for_the_last(self, lanes: Sequence[_Lane]) -> None:
        """Wait for the looks that have begun, no longer than their time-outs."""
        while begun := [lane for lane in lanes if lane.begun_at is not None and not lane.given_up]:
            ends = max((lane.begun_at or 0) + lane.placed.check.timeout.total_seconds() for lane in begun)
            left = ends + _GRACE_SECONDS - boottime()
            if left <= 0:
                return
            self._go_on()
            self._take(min(left, _LOOK_SECONDS))


def _first_wait(placed: CheckAtTarget, ago: timedelta | None) -> float:
    every = placed.check.every.total_seconds()
    rest = 0.0 if ago is None else max(0.0, every - ago.total_seconds())
    return rest + random.uniform(0, _JITTER) * every  # noqa: S311 - no secret
