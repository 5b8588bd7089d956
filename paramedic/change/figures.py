"""What a remedy changed, as figures: each metric of the runbook's checks and the resident memory, before it and after it."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from paramedic.change.run import PlaybookRun
from paramedic.checks.check import Check, CheckAtTarget, Sample
from paramedic.remediation import figures
from paramedic.remediation.figures import Figure, Measured
from paramedic.store import Tx, acts, checks
from paramedic.store.acts import Act
from paramedic.text.quantity import Unit

_MEMORY = "resident memory"


def before(run: PlaybookRun) -> list[Figure]:
    """What was measured just before a change: by the checks' kept samples, and the last look. Raises StoreUnavailable."""
    with run.store.read() as tx:
        measured = list(_kept(tx, run, tx.now))
    return figures.before([*measured, *_memory(run)])


def keep_after(tx: Tx, run: PlaybookRun) -> tuple[Act, list[Figure]] | None:
    """Keep what was measured after the incident's last change beside what was before it; None where nothing was changed.

    By the samples that the run has taken since. From `Store.record`.
    """
    done = [act for act in acts.since_begun(tx, run.incident) if act.result != "not_sent"]
    if not done:
        return None
    act = done[-1]
    now = [*_fresh(run), *_memory(run)]
    then = {one.name: one for one in _kept(tx, run, act.written_at)}
    found = figures.compare(act.figures, then, {one.name: one for one in now})
    acts.keep_figures(tx, act, found)
    return act, found


def _kept(tx: Tx, run: PlaybookRun, until: datetime) -> Iterator[Measured]:
    for check in run.runbook.checks:
        placed = CheckAtTarget(run.runbook.name, check, run.target)
        samples = [one for one in checks.recent(tx, placed, since=until - check.window) if one.at <= until]
        yield from _measured(placed, check, samples)


def _fresh(run: PlaybookRun) -> Iterator[Measured]:
    for check in run.runbook.checks:
        yield from _measured(CheckAtTarget(run.runbook.name, check, run.target), check, run.samples.get(check.name, ()))


def _measured(placed: CheckAtTarget, check: Check, samples: Sequence[Sample]) -> Iterator[Measured]:
    seen = [sample for sample in samples if sample.values is not None]
    values = check.metrics(seen)
    raws = {metric.name: metric for metric in check.measures}
    for threshold in check.thresholds:
        if threshold.metric not in values:
            continue
        called = raws[threshold.metric].of(threshold.unit)
        raw = [sample.values[called] for sample in seen if sample.values is not None and called in sample.values]
        name = f"{threshold.metric} of {placed.name}"
        yield Measured(name, threshold.unit, threshold.below, values[threshold.metric], raw)


def _memory(run: PlaybookRun) -> Iterator[Measured]:
    if run.resident is not None:
        yield Measured(_MEMORY, Unit.BYTES, below=False, value=run.resident)
