"""One look at the target, by every condition of its runbook and of the breach."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from paramedic.change.run import PlaybookRun
from paramedic.checks.check import Check, CheckAtTarget, Sample
from paramedic.checks.threshold import Threshold
from paramedic.doors import reading
from paramedic.errors import PermanentError, TemporaryError, is_out_of_reach
from paramedic.machine.clock import utc_now
from paramedic.remediation.health import Health, Sight
from paramedic.remediation.target import Identity, Target
from paramedic.sampling import one_sample
from paramedic.store import check_states, check_subjects, checks, heartbeats, incident_alerts, incidents, mass_failure

#: Fewer fresh samples that are all well do not say that a window's breach is over.
_FRESH_LOOKS = 5

#: Nor do any that would all be well this often, were the target as ill as in its window: of one that answers three
#: requests in a hundred with an error, five looks say nothing.
_BY_CHANCE = 0.05


def measure(run: PlaybookRun) -> Health:
    """Well only if all conditions were seen to hold; unknown if the supervisor or every control probe does not answer.

    Where the target's host is not reached it is unknown, and `second` of it has what its health address shows instead.
    """
    with run.store.read() as tx:
        if mass_failure.current(tx) == mass_failure.BLIND:
            return Health(Sight.UNKNOWN, mass_failure.BLIND)
    owner = _process(run)
    if owner is not None and owner.second is not None:
        other = _by_a_second_way(run)
        return Health(Sight.UNKNOWN, f"{owner.why}; by a second way: {other.why}", second=other.sight)
    return owner or _address(run) or _checked(run)


def of_its_owner(target: Target) -> Identity | Health:
    """The running instance, or what its supervisor shows against it."""
    try:
        identity = reading.reader(target).identity()
    except (TemporaryError, PermanentError) as error:
        second = Sight.UNKNOWN if is_out_of_reach(error) else None
        return Health(Sight.UNKNOWN, f"its {target.kind} does not say how it is: {error}", second=second)
    if identity.unclear:
        return Health(Sight.UNKNOWN, f"its {target.kind} does not know how it is: {identity.state}")
    if not reading.running(target, identity):
        return Health(Sight.FAILING, f"its {target.kind} says {identity.state}")
    return identity


def of_its_address(target: Target, timeout: timedelta) -> Health | None:
    """What its health address shows against it; None: nothing, or services.yaml names none."""
    if target.health is None:
        return None
    try:
        probe = reading.probe(target.health, timeout)
    except PermanentError as error:
        return Health(Sight.UNKNOWN, f"its health address: {error}")
    return None if probe.sight is Sight.WELL else Health(probe.sight, f"its health address: {probe.why}")


def _process(run: PlaybookRun) -> Health | None:
    """What its supervisor and its memory show against it; None: nothing."""
    identity = of_its_owner(run.target)
    if isinstance(identity, Health):
        return identity
    limit = run.runbook.verify.memory_below
    if limit is None:
        return None
    try:
        run.resident = resident = reading.resident_memory(run.target, identity)
    except (TemporaryError, PermanentError) as error:
        return Health(Sight.UNKNOWN, f"its memory cannot be read: {error}")
    if resident >= limit:
        return Health(Sight.FAILING, f"resident memory {resident:,} B, and the limit is {limit:,} B")
    return None


def _by_a_second_way(run: PlaybookRun) -> Health:
    """What can be seen without the target's host. Well only where every condition is seen, and the target itself answers."""
    target = run.target
    if target.health is None:
        return Health(Sight.UNKNOWN, "services.yaml names no health address for it")
    try:
        probe = reading.probe(target.health, run.settings.probe_timeout)
    except PermanentError as error:
        return Health(Sight.UNKNOWN, f"its health address: {error}")
    answer = f"its health address: {probe.why}"
    if probe.sight is not Sight.WELL:
        return Health(probe.sight, answer)
    if (found := _checked(run)).sight is not Sight.WELL:
        return Health(found.sight, f"{answer}; {found.why}")
    if (why := _not_the_targets_own(run, probe.timing.address if probe.timing is not None else "")) is not None:
        return Health(Sight.UNKNOWN, f"{answer}, {why}")
    return Health(Sight.WELL, answer)


def _not_the_targets_own(run: PlaybookRun, answered_by: str) -> str | None:
    """Why a good answer of the health address does not say that the target is well; None where it does."""
    target = run.target
    if not reading.is_a_program(target):
        return f"which says little of a {target.kind}"
    if run.runbook.verify.memory_below is not None:
        return "and its memory cannot be read"
    access = target.machine.ssh if target.machine is not None else None
    named = urlsplit(target.health or "").hostname
    if access is None or access.address.lower() not in (named, answered_by):
        return f"and that is not the address of {target.host}: another machine may answer there"
    return None


def _address(run: PlaybookRun) -> Health | None:
    """What its health address shows against it, where the runbook asks for it; None: nothing."""
    if not run.runbook.verify.health:
        return None
    if run.target.health is None:
        return Health(Sight.UNKNOWN, "services.yaml names no health address for it")
    return of_its_address(run.target, run.settings.probe_timeout)


def _checked(run: PlaybookRun) -> Health:
    """The runbook's checks that are conditions; a failing one counts before an unknown one."""
    seen = [_look(run, check) for check in _conditions(run)]
    for sight in (Sight.FAILING, Sight.UNKNOWN):
        if found := next((health for health in seen if health.sight is sight), None):
            return found
    return Health(Sight.WELL, "every condition holds")


def _conditions(run: PlaybookRun) -> Iterator[Check]:
    """Each check with the thresholds that count: those that `verify` names, and those of the incident's breach."""
    with run.store.read() as tx:
        alert_labels = [alert["labels"] for alert in incident_alerts.of(tx, run.incident.number)]
        states = check_states.broken_at(tx, run.target.id)
        by_subject = check_subjects.breached_at(tx, run.target.id)
    ours = run.runbook.name
    broken = {(labels.get("check"), labels.get("metric")) for labels in alert_labels if labels.get("runbook") == ours}
    broken |= {(state.name, state.metric) for state in states if state.runbook == ours}
    broken |= {(name, metric) for runbook, name, metric in by_subject if runbook == ours}
    if not run.fresh:
        run.subjects = _subjects(run, [labels for labels in alert_labels if labels.get("runbook") == ours])
    for check in run.runbook.checks:
        counting = tuple(
            threshold
            for threshold in check.thresholds
            if threshold.metric in run.runbook.verify.metrics or (check.name, threshold.metric) in broken
        )
        if counting:
            yield replace(check, thresholds=counting)


def _subjects(run: PlaybookRun, ours: Sequence[Mapping[str, str]]) -> dict[tuple[str, str], frozenset[str]]:
    """The subjects that the alerts of our checks name, by check and metric. Who comes after the change proves nothing of it."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for check in run.runbook.checks:
        for metric in check.measures:
            named = [
                labels for labels in ours if (labels.get("check"), labels.get("metric")) == (check.name, metric.name)
            ]
            if metric.by is not None and named:
                found[check.name, metric.name] = frozenset(labels.get(metric.by, "") for labels in named)
    return found


def _look(run: PlaybookRun, check: Check) -> Health:
    """Take one more sample. After an act only fresh samples count.

    Before an act it counts with what was measured in the window, and a breach of the window must be seen in a sample that
    this run has taken itself: what is over may fill a window for a while. Fresh looks that are all well end it, where they
    would not be so by chance.
    """
    placed = CheckAtTarget(run.runbook.name, check, run.target)
    if run.fresh:
        check = replace(check, window=min(check.window, run.runbook.verify.stable))
    elif check.name not in run.samples:
        with run.store.read() as tx:
            run.samples[check.name] = checks.evidence(tx, placed)
    sample = one_sample.sample(
        check,
        run.target,
        now=utc_now,
        last_heard=lambda name: _last_heard(run, name),
        last_ended=lambda target: _last_ended(run, target),
    )
    if of := frozenset().union(*(found for (name, _), found in run.subjects.items() if name == check.name)):
        sample = sample.of(of)
    samples = run.samples.setdefault(check.name, [])
    samples.append(sample)
    if sample.values is None:
        return Health(Sight.UNKNOWN, f"{placed.name} sees nothing: {sample.why}")
    ours = run.looks.setdefault(check.name, [])
    ours.append(sample)
    metrics = check.metrics(samples)
    for threshold in check.thresholds:
        value = metrics.get(threshold.metric)
        if value is None:
            return Health(Sight.UNKNOWN, f"{placed.name} does not tell its {threshold.metric}")
        if threshold.holds(value):
            continue
        breach = f"{threshold.metric} is {threshold.unit.spoken(value)} ({threshold.spoken()})"
        if run.fresh or any(_breaks(check, threshold, fresh) for fresh in ours):
            return Health(Sight.FAILING, f"{breach}: {sample.why}")
        if not _over(check, threshold, samples[: -len(ours)], ours):
            looks = "a fresh look is" if len(ours) == 1 else f"{len(ours)} fresh looks are"
            return Health(Sight.UNKNOWN, f"over its window {breach}, and {looks} well: {sample.why}")
    return Health(Sight.WELL, f"{placed.name} holds")


def _over(check: Check, threshold: Threshold, window: Sequence[Sample], looks: Sequence[Sample]) -> bool:
    """Whether a series of well samples contradicts the window, by the share of its samples that pass the bound."""
    share = sum(_breaks(check, threshold, sample) for sample in window) / max(len(window), 1)
    return len(looks) >= _FRESH_LOOKS and (1 - share) ** len(looks) < _BY_CHANCE


def _breaks(check: Check, threshold: Threshold, sample: Sample) -> bool:
    """Whether the sample alone passes the bound."""
    value = check.metrics([sample]).get(threshold.metric)
    return value is not None and not threshold.holds(value)


def _last_ended(run: PlaybookRun, target: str) -> datetime | None:
    with run.store.read() as tx:
        return incidents.last_ended_at(tx, target)


def _last_heard(run: PlaybookRun, name: str) -> timedelta | None:
    with run.store.read() as tx:
        return heartbeats.missing_for(tx, name)
