"""Samples after which all is as it was, many of them in one transaction: of a large fleet nearly every sample is one.

A transaction for each of 300 samples a second is more than a disk does, and most of its time would go into making statements.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update

from paramedic.checks.check import CheckAtTarget, Sample
from paramedic.checks.threshold import Level
from paramedic.incidents.incident import State
from paramedic.store import Tx, check_counts, checks, mass_failure
from paramedic.store.check_judgement import Judged, Known, judged
from paramedic.store.checks import Metric, Recorded
from paramedic.store.tables import check_samples as samples
from paramedic.store.tables import check_states as states
from paramedic.store.tables import incidents

#: So many samples at most are to be written in one transaction: others wait for the store meanwhile.
MOST = 200

#: The older samples of a check at a target are deleted once in so many samples.
_TRIM_EVERY = 50


@dataclass(frozen=True, slots=True)
class _Quiet:
    placed: CheckAtTarget
    sample: Sample
    found: Judged


def record_quiet(tx: Tx, seen: Sequence[tuple[CheckAtTarget, Sample]]) -> list[Recorded | None]:
    """Write those of the samples by which every metric is seen, and well as before. From `Store.write`.

    In their order: what each showed, or None where it needs `checks.record`; of that one nothing was written.
    """
    if mass_failure.current(tx) is not None:
        return [None] * len(seen)
    known = _known(tx, [placed for placed, _ in seen])
    told: list[Recorded | None] = []
    quiet: list[_Quiet] = []
    for placed, sample in seen:
        facts = known.pop(placed.key, None)  # the next sample of the same check goes by what this one leaves
        found = None if facts is None else _quiet(placed, replace(sample, at=tx.now), facts)
        quiet += [] if found is None else [found]
        told.append(None if found is None else _recorded(found))
    if quiet:
        _write(tx, quiet)
    return told


def _quiet(placed: CheckAtTarget, sample: Sample, known: Known) -> _Quiet | None:
    """The sample, if it leaves all as it was."""
    if any(placed.check.by(bounds.metric) is not None for bounds in placed.check.thresholds):
        return None
    if check_counts.counted(placed):  # each of its samples changes a count
        return None
    found = judged(placed, sample, known)
    for step in found.steps:
        if step.row is None or step.is_change:
            return None
        if step.now.known is not Level.OK or step.now.unknown_since is not None:
            return None
    return _Quiet(placed, sample, found)


def _recorded(quiet: _Quiet) -> Recorded:
    metrics = (Metric(step.threshold, step.value, step.now) for step in quiet.found.steps)
    return Recorded(why=quiet.sample.why, metrics=tuple(metrics), alerts=())


# --- what is read -----------------------------------------------------------------------------------------------------


def _known(tx: Tx, placed: Sequence[CheckAtTarget]) -> dict[tuple[str, str, str], Known]:
    """What the store has of each check, by the columns of its key."""
    found: dict[tuple[str, str, str], Known] = {}
    ended = _last_ended(tx, {at.target.id for at in placed})
    together = defaultdict[tuple[str, str], dict[str, CheckAtTarget]](dict)
    for at in placed:
        together[at.runbook, at.check.name][at.target.id] = at
    for (runbook, name), by_target in together.items():
        rows: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        of = (states.c.runbook == runbook, states.c.name == name, states.c.target.in_(by_target))
        for row in tx.conn.execute(select(states).where(*of)):
            rows[row.target][row.metric] = row
        earlier = _earlier(tx, runbook, name, by_target)
        for target in by_target:
            ended_at = ended.get(target)
            counts = [sample for sample in earlier[target] if ended_at is None or sample.at > ended_at]
            found[runbook, name, target] = Known(ended_at, counts, rows[target])
    return found


def _earlier(tx: Tx, runbook: str, name: str, placed: Mapping[str, CheckAtTarget]) -> Mapping[str, list[Sample]]:
    """By target the samples of the check's window, oldest first; none where its metrics do not need them."""
    found: defaultdict[str, list[Sample]] = defaultdict(list)
    check = next(iter(placed.values())).check
    if check.looks_back():
        columns = (samples.c.target, samples.c.at, samples.c["values"], samples.c.why)
        of = (samples.c.runbook == runbook, samples.c.name == name, samples.c.target.in_(placed))
        since = samples.c.at > tx.now - check.window
        for row in tx.conn.execute(select(*columns).where(*of, since).order_by(samples.c.at, samples.c.id)):
            found[row.target].append(Sample(row.at, row[2], row.why))
    return found


def _last_ended(tx: Tx, targets: set[str]) -> Mapping[str, Any]:
    """By target when an incident on it last ended."""
    latest = func.max(incidents.c.ended_at).label("at")
    over = (incidents.c.target.in_(targets), incidents.c.state == State.RESOLVED)
    query = select(incidents.c.target, latest).where(*over).group_by(incidents.c.target)
    return {row.target: row.at for row in tx.conn.execute(query)}


# --- what is written --------------------------------------------------------------------------------------------------

_KEY = ("runbook", "name", "target", "metric")
_COLUMNS = (
    *("service", "known", "since", "sampled_at", "unknown_since"),
    *("warning_since", "critical_since", "value", "why", "stale_at"),
)
_UPDATE = (
    update(states)
    .where(*(states.c[column] == bindparam(f"of_{column}") for column in _KEY))
    .values({column: bindparam(column) for column in _COLUMNS})
)


def _write(tx: Tx, quiet: Sequence[_Quiet]) -> None:
    tx.conn.execute(insert(samples), [_sample(tx, each) for each in quiet])
    tx.conn.execute(_UPDATE, [row for each in quiet for row in _states(tx, each)])
    for each in quiet:
        if _is_turn(tx, each.placed):
            checks.trim(tx, each.placed)


def _sample(tx: Tx, quiet: _Quiet) -> dict[str, Any]:
    runbook, name, target = quiet.placed.key
    seen = {"at": tx.now, "values": quiet.found.values, "why": quiet.sample.why, "each": None}
    return {"runbook": runbook, "name": name, "target": target, **seen}


def _states(tx: Tx, quiet: _Quiet) -> Iterator[dict[str, Any]]:
    for step in quiet.found.steps:
        key = zip(_KEY, (*quiet.placed.key, step.threshold.metric), strict=True)
        yield {f"of_{name}": of for name, of in key} | step.columns(quiet.placed, tx.now, quiet.sample.why)


def _is_turn(tx: Tx, placed: CheckAtTarget) -> bool:
    """Whether this sample is the one in _TRIM_EVERY, which for another check is another."""
    number = int(tx.now.timestamp() / placed.check.every.total_seconds())
    return (number + zlib.crc32("/".join(placed.key).encode())) % _TRIM_EVERY == 0
