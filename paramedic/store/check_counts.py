"""Burn rates: how many looks of a check with an objective were errors, counted by the minute and by the hour."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, delete, func, insert, select, true, update

from paramedic.checks.check import CheckAtTarget, Sample
from paramedic.kinds.metric import ERROR, Metric
from paramedic.store import Tx
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import check_counts as counts

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)

#: By how long one count is: so long it is kept. Windows of up to six hours are taken from minutes, longer ones from hours.
_KEPT = {_MINUTE: timedelta(hours=6), _HOUR: timedelta(days=3)}


def rates(tx: Tx, placed: CheckAtTarget, seen: Sample, *, since: datetime | None) -> dict[str, float]:
    """The burn rates that the check has bounds for, with this sample; empty without an objective, or where nothing was seen.

    A rate is the smaller of those over its long and its short window: the long one says that much of the budget is gone, the
    short one that it is going now. Of the short one what was before `since` counts for nothing: it was cured. A window that has
    only begun counts as in `Metric.value`: what is missing is well where anything was.
    """
    if seen.values is None or ERROR not in seen.values:
        return {}
    bounds = {threshold.metric: threshold.mildest for threshold in placed.check.thresholds}
    burning = [
        (metric, *metric.burns)
        for metric in placed.check.measures
        if metric.burns is not None and metric.budget is not None and metric.name in bounds
    ]
    windows = [
        (window, tx.now - window if window is long or since is None else max(since, tx.now - window))
        for _, long, short in burning
        for window in (long, short)
    ]
    sums = iter(_sums(tx, placed, windows, int(seen.values[ERROR])) if windows else ())
    return {
        metric.name: min(_burn(metric, next(sums), metric.needs(bounds[metric.name])), _burn(metric, next(sums), 1))
        for metric, _, _ in burning
    }


def count(tx: Tx, placed: CheckAtTarget, seen: Sample) -> None:
    """Count the sample, and forget what is older than any window, where the check has an objective and something was seen."""
    if seen.values is None or ERROR not in seen.values or not counted(placed):
        return
    error = int(seen.values[ERROR])
    for span, kept in _KEPT.items():
        at = _floor(tx.now, span)
        of = (*_of(placed), counts.c.span == int(span.total_seconds()))
        added = update(counts).where(*of, counts.c.at == at)
        changed = tx.conn.execute(added.values(looks=counts.c.looks + 1, errors=counts.c.errors + error))
        if changed.rowcount:
            continue
        values = {**_key(placed), "span": int(span.total_seconds()), "at": at, "looks": 1, "errors": error}
        tx.conn.execute(insert(counts).values(**values))
        tx.conn.execute(delete(counts).where(*of, counts.c.at < tx.now - kept - span))


def counted(placed: CheckAtTarget) -> bool:
    """Whether the check has an objective, so that each of its samples is counted."""
    return any(metric.budget is not None for metric in placed.check.measures)


def _sums(
    tx: Tx, placed: CheckAtTarget, windows: Sequence[tuple[timedelta, datetime]], error: int
) -> list[tuple[int, int]]:
    """The looks and errors of each window since its begin, those of this moment included; by one query."""
    columns: list[ColumnElement[int]] = []
    for window, begins in windows:
        span = _MINUTE if window <= _KEPT[_MINUTE] else _HOUR
        inside = (counts.c.span == int(span.total_seconds())) & (counts.c.at > begins)
        columns += [
            func.coalesce(func.sum(case((inside, column), else_=0)), 0) for column in (counts.c.looks, counts.c.errors)
        ]
    found = [int(value) for value in tx.conn.execute(select(*columns).where(*_of(placed))).one()]
    return [(looks + 1, errors + error) for looks, errors in zip(found[::2], found[1::2], strict=True)]


def _burn(metric: Metric, found: tuple[int, int], at_least: int) -> float:
    looks, errors = found
    share = 1.0 if errors == looks else errors / max(looks, at_least)
    return share / (metric.budget or 1.0)


def _floor(at: datetime, span: timedelta) -> datetime:
    seconds = int(span.total_seconds())
    return datetime.fromtimestamp(int(at.timestamp()) // seconds * seconds, UTC)


def _key(placed: CheckAtTarget) -> Mapping[str, Any]:
    return {"runbook": placed.runbook, "name": placed.check.name, "target": placed.target.id}


def _of(placed: CheckAtTarget) -> list[ColumnElement[bool]]:
    return [counts.c[column] == value for column, value in _key(placed).items()]


FACTS = (
    TableFacts(
        table=counts,
        restore=Unchanged("they were seen then"),
        retention=lambda cutoffs: (
            counts.c.at < cutoffs.received
        ),  # of checks that are gone: others forget by themselves
        times=((counts.c.at, true()),),  # windows are counted from now
    ),
)
