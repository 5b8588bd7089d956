"""One look at the target, by every condition that its runbook names and by every condition of the breach."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from paramedic.checks.check import Check, CheckAtTarget, Sample
from paramedic.checks.threshold import Threshold
from paramedic.doors import reading
from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.clock import utc_now
from paramedic.remediation.health import Health, Sight
from paramedic.sampling import measurement
from paramedic.store import checks, heartbeats, incident_alerts, mass_failure
from tasks.work import Work

#: Fewer fresh samples that are all well do not say that a window's breach is over.
_FRESH_LOOKS = 5

#: Nor do any that would all be well this often, were the target as ill as in its window: of one that answers three
#: requests in a hundred with an error, five looks say nothing.
_BY_CHANCE = 0.05


def measure(work: Work) -> Health:
    """Well only if all conditions were seen to hold; unknown if the one who should know does not answer, or we are blind."""
    with work.store.read() as tx:
        if mass_failure.current(tx) == mass_failure.BLIND:
            return Health(Sight.UNKNOWN, mass_failure.BLIND)
    return _process(work) or _address(work) or _checked(work)


def _process(work: Work) -> Health | None:
    """What its owner and its memory say against it; None: nothing."""
    try:
        identity = reading.reader(work.target).identity()
    except (TemporaryError, PermanentError) as error:
        return Health(Sight.UNKNOWN, f"its {work.target.kind} does not say how it is: {error}")
    if identity.unclear:
        return Health(Sight.UNKNOWN, f"its {work.target.kind} does not know how it is: {identity.state}")
    if identity.pid is None or not identity.running:
        return Health(Sight.FAILING, f"its {work.target.kind} says {identity.state}")
    limit = work.runbook.verify.memory_below
    if limit is None:
        return None
    try:
        resident = reading.resident_memory(identity.pid)
    except (TemporaryError, PermanentError) as error:
        return Health(Sight.UNKNOWN, f"its memory cannot be read: {error}")
    if resident >= limit:
        return Health(Sight.FAILING, f"resident memory {resident:,} B, and the limit is {limit:,} B")
    return None


def _address(work: Work) -> Health | None:
    """What its health address says against it; None: nothing, or nobody asks there."""
    if not work.runbook.verify.health:
        return None
    if work.target.health is None:
        return Health(Sight.UNKNOWN, "services.yaml names no health address for it")
    try:
        probe = reading.probe(work.target.health, work.settings.probe_timeout)
    except PermanentError as error:
        return Health(Sight.UNKNOWN, f"its health address: {error}")
    return None if probe.sight is Sight.WELL else Health(probe.sight, f"its health address: {probe.why}")


def _checked(work: Work) -> Health:
    """The runbook's checks, as far as they are conditions; one that is broken is told before one that sees nothing."""
    seen = [_look(work, check) for check in _conditions(work)]
    for sight in (Sight.FAILING, Sight.UNKNOWN):
        if found := next((health for health in seen if health.sight is sight), None):
            return found
    return Health(Sight.WELL, "every condition holds")


def _conditions(work: Work) -> Iterator[Check]:
    """Each check with the bounds that count: those that `verify` names, and those that the incident's breach is about."""
    with work.store.read() as tx:
        said = [alert["labels"] for alert in incident_alerts.of(tx, work.incident.number)]
        states = checks.broken_at(tx, work.target.id)
    ours = work.runbook.name
    broken = {(labels.get("check"), labels.get("metric")) for labels in said if labels.get("runbook") == ours}
    broken |= {(state.name, state.metric) for state in states if state.runbook == ours}
    for check in work.runbook.checks:
        counting = tuple(
            threshold
            for threshold in check.thresholds
            if threshold.metric in work.runbook.verify.metrics or (check.name, threshold.metric) in broken
        )
        if counting:
            yield replace(check, thresholds=counting)


def _look(work: Work, check: Check) -> Health:
    """One more sample. After an act only fresh samples count.

    Before an act it counts with what was measured in the window, and a breach of the window must be seen in a sample that
    this run has taken itself: what is over may fill a window for a while. Fresh looks that are all well end it, where they
    would not be so by chance.
    """
    placed = CheckAtTarget(work.runbook.name, check, work.target)
    if work.fresh:
        check = replace(check, window=min(check.window, work.runbook.verify.stable))
    elif check.name not in work.samples:
        with work.store.read() as tx:
            work.samples[check.name] = checks.evidence(tx, placed)
    taken = measurement.sample(check, work.target, now=utc_now, last_heard=lambda name: _last_heard(work, name))
    samples = work.samples.setdefault(check.name, [])
    samples.append(taken)
    if taken.values is None:
        return Health(Sight.UNKNOWN, f"{placed.name} sees nothing: {taken.why}")
    ours = work.looks.setdefault(check.name, [])
    ours.append(taken)
    metrics = check.metrics(samples)
    for threshold in check.thresholds:
        value = metrics.get(threshold.metric)
        if value is None:
            return Health(Sight.UNKNOWN, f"{placed.name} does not tell its {threshold.metric}")
        if threshold.holds(value):
            continue
        said = f"{threshold.metric} is {threshold.unit.spoken(value)} ({threshold.spoken()})"
        if work.fresh or any(_breaks(check, threshold, one) for one in ours):
            return Health(Sight.FAILING, f"{said}: {taken.why}")
        if not _over(check, threshold, samples[: -len(ours)], ours):
            looks = "a fresh look is" if len(ours) == 1 else f"{len(ours)} fresh looks are"
            return Health(Sight.UNKNOWN, f"over its window {said}, and {looks} well: {taken.why}")
    return Health(Sight.WELL, f"{placed.name} holds")


def _over(check: Check, threshold: Threshold, window: Sequence[Sample], looks: Sequence[Sample]) -> bool:
    """Whether looks that are all well contradict the window, by the share of its samples that pass the bound."""
    share = sum(_breaks(check, threshold, one) for one in window) / max(len(window), 1)
    return len(looks) >= _FRESH_LOOKS and (1 - share) ** len(looks) < _BY_CHANCE


def _breaks(check: Check, threshold: Threshold, one: Sample) -> bool:
    """Whether the sample alone passes the bound."""
    value = check.metrics([one]).get(threshold.metric)
    return value is not None and not threshold.holds(value)


def _last_heard(work: Work, name: str) -> timedelta | None:
    with work.store.read() as tx:
        return heartbeats.missing_for(tx, name)
