"""A look from several places, side by side: it shows what more than half of them see, and nothing where they do not agree."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

from paramedic.checks.check import Check
from paramedic.doors import measuring, transports
from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.metric import ERROR, LATENCY
from paramedic.kinds.place import LOCAL
from paramedic.kinds.probing import Question, Seen, SeenEach
from paramedic.machine.clock import boottime
from paramedic.remediation.host import Host
from paramedic.sampling.timed_look import within

log = logging.getLogger(__name__)

#: So much of a look's time another host has to ask; the rest is to hear that the host itself still answers.
_SHARE_TO_ASK = 0.75


@dataclass(frozen=True, slots=True)
class View:
    """What one place sees: the raw values of `paramedic.kinds.metric.EXCHANGE`, or None where it sees nothing; in words."""

    place: str
    values: Mapping[str, float] | None
    why: str

    @property
    def fails(self) -> bool | None:
        """Whether it sees an error; None where it sees nothing."""
        return None if self.values is None else self.values[ERROR] > 0

    def __str__(self) -> str:
        """`web-2: failing (could not connect: Connection refused)`."""
        sight = {True: "failing", False: "well", None: "unknown"}[self.fails]
        return f"{self.place}: {sight} ({self.why})"


def together(views: Sequence[View]) -> Seen:
    """An error, or well, where more than half of all places see that; the latency is the median of those that do.

    A place that sees nothing counts for neither side. Raises PermanentError where neither side has so many.
    """
    words = "; ".join(map(str, views))
    for error in (True, False):
        agreed = [view.values[LATENCY] for view in views if view.values is not None and view.fails is error]
        if 2 * len(agreed) > len(views):
            return {LATENCY: median(agreed), ERROR: float(error)}, words
    raise PermanentError(f"not more than half of its {len(views)} places see it well, nor failing: {words}")


def looked(check: Check, question: Question) -> SeenEach:
    """One look from each place that the check names, within the check's time-out. Raises as `together` does."""
    names, hosts = check.asked_from, {host.name: host for host in check.places}
    with ThreadPoolExecutor(len(names), thread_name_prefix="place") as places:
        views = list(places.map(lambda name: _view(name, hosts.get(name), check, question), names))
    return SeenEach(*together(views), {})


def _view(name: str, viewer: Host | None, check: Check, question: Question) -> View:
    """What this place sees. Never raises: a place that cannot be asked sees nothing."""
    asks = partial(_from_here if name == LOCAL else _from_elsewhere, check.kind, question, viewer)
    what = f"{check.kind} {question.where} {dict(question.options)} from {name}"
    try:
        seen = within(check.timeout, what, lambda _: asks(), question.target)
    except (TemporaryError, PermanentError) as error:
        return View(name, None, str(error))
    except Exception as error:  # the edge of one place: a fault in its look is not the others' fault
        log.exception("the check %s could not be asked from %s", check.name, name)
        return View(name, None, f"the look itself failed: {type(error).__name__}: {error}")
    return View(name, seen.values, seen.why)


def _from_here(kind: str, question: Question, _viewer: Host | None) -> SeenEach:
    return measuring.measured(kind, question)


def _from_elsewhere(kind: str, question: Question, viewer: Host | None) -> SeenEach:
    """What the host sees. A host that is lost meanwhile has seen nothing: its silence is not the target's."""
    if viewer is None:
        raise PermanentError("services.yaml lists no such host")
    kept = question.timeout * (1 - _SHARE_TO_ASK)
    until = question.deadline - kept.total_seconds()
    seen = measuring.measured(
        kind,
        replace(
            question,
            timeout=question.timeout - kept,
            deadline=until,
            line=lambda host, port: transports.line(viewer, (host, port), until),
        ),
    )
    if seen.values[ERROR] > 0:
        transports.must_answer(viewer, max(question.deadline, boottime()))
    return seen
