"""The states of a check's subjects, such as the addresses that fail to log in: of the worst that are past a bound."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, select, true, update

from paramedic.alerts.alert import Alert
from paramedic.checks.check import CheckAtTarget, Sample
from paramedic.checks.threshold import CheckState, Level, Threshold, after, begin
from paramedic.store import Tx
from paramedic.store.check_alerts import due
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import check_subjects as states

#: So many subjects of a metric at a target are kept at once: the worst. An attack by many fills no store.
KEPT = 50


@dataclass(frozen=True, slots=True)
class SubjectStep:
    """The effect of one more sample on one subject of a metric."""

    threshold: Threshold
    subject: str
    value: float | None
    row: Row[Any] | None
    before: CheckState
    now: CheckState

    @property
    def is_change(self) -> bool:
        """Whether its level changed, which the trail says."""
        return self.now.known is not self.before.known


@dataclass(frozen=True, slots=True)
class SubjectState:
    """The state of one subject of a metric."""

    subject: str
    standing: CheckState
    value: float | None


def judged(
    tx: Tx, placed: CheckAtTarget, seen: Sample, *, ended_at: datetime | None, gap: timedelta
) -> tuple[list[SubjectStep], int]:
    """The effect of the sample on each subject that is kept from now on, and how many more are past a bound.

    `ended_at`: when an incident on the target last ended; states of before it begin anew. `gap`: as of `threshold.after`.
    """
    steps, beyond = list[SubjectStep](), 0
    for threshold in placed.check.thresholds:
        if placed.check.by(threshold.metric) is None:
            continue
        rows = {row.subject: row for row in _rows(tx, placed, threshold.metric)}
        values = _values(placed, threshold, seen)
        new = [subject for subject, value in values.items() if subject not in rows and not threshold.holds(value)]
        new.sort(key=lambda subject: (-values[subject], subject))
        room = max(KEPT - len(rows), 0)
        beyond += len(new[room:])
        for subject in [*rows, *new[:room]]:
            row = rows.get(subject)
            before = begin(tx.now) if row is None else _standing(row)
            if ended_at is not None and before.sampled_at <= ended_at:
                before = begin(ended_at)
            value = None if seen.values is None else values.get(subject, 0.0)
            now = after(threshold, before, tx.now, value, gap=gap)
            steps.append(SubjectStep(threshold, subject, value, row, before, now))
    return steps, beyond


def kept_of(seen: Sample, steps: Sequence[SubjectStep]) -> Mapping[str, Mapping[str, float]] | None:
    """What the sample saw of the subjects that are kept; None of none."""
    kept = {step.subject for step in steps}
    return {subject: values for subject, values in seen.each.items() if subject in kept} or None


def write(tx: Tx, placed: CheckAtTarget, steps: Sequence[SubjectStep], *, held_back: bool) -> list[Alert]:
    """Write the states, and return the alerts that are due. Who is well again is forgotten."""
    alerts = []
    for step in steps:
        metric = step.threshold.metric
        at = _at(placed, metric, step.subject)
        if step.row is None:
            tx.conn.execute(
                insert(states).values(**_key(placed), metric=metric, subject=step.subject, **_columns(step))
            )
        else:
            tx.conn.execute(update(states).where(*at).values(**_columns(step)))
        row = tx.conn.execute(select(states).where(*at)).one()
        said = None if step.now.unknown_since is not None else due(row, step.now, tx.now, held_back=held_back)
        if said is not None:
            alert = partial(placed.alert, step.threshold, said.level, value=row.value, subject=step.subject)
            alerts.append(alert(began_at=said.began_at, ended_at=said.ended_at))
            tx.conn.execute(update(states).where(*at).values(**said.columns(tx.now)))
        if step.now.unknown_since is None and not step.now.breached and not step.now.over:
            tx.conn.execute(delete(states).where(*at))
    return alerts


def of(tx: Tx, placed: CheckAtTarget, metric: str) -> list[SubjectState]:
    """The subjects of the metric that are past a bound, the worst first."""
    found = [SubjectState(row.subject, _standing(row), row.value) for row in _rows(tx, placed, metric)]
    return sorted(found, key=lambda state: (-(state.value or 0.0), state.subject))


def breached_at(tx: Tx, target: str) -> set[tuple[str, str, str]]:
    """The breached metrics of subjects at this target: the runbook, the check and the metric of each."""
    query = select(states.c.runbook, states.c.name, states.c.metric).distinct()
    rows = tx.conn.execute(query.where(states.c.target == target, states.c.known != Level.OK))
    return {(row.runbook, row.name, row.metric) for row in rows}


def retire(tx: Tx, known: Collection[tuple[str, str, str, str]]) -> None:
    """Delete the states of all but these: runbook, check, target and metric of each."""
    columns = (states.c.runbook, states.c.name, states.c.target, states.c.metric)
    for row in tx.conn.execute(select(*columns).distinct()).all():
        if tuple(row) not in known:
            same = [column == value for column, value in zip(columns, row, strict=True)]
            tx.conn.execute(delete(states).where(*same))


def _values(placed: CheckAtTarget, threshold: Threshold, seen: Sample) -> dict[str, float]:
    if seen.values is None:
        return {}
    metric = next(measure for measure in placed.check.measures if measure.name == threshold.metric)
    name = metric.of(threshold.unit)
    return {subject: values[name] for subject, values in seen.each.items() if name in values}


def _columns(step: SubjectStep) -> dict[str, Any]:
    over = step.now.over or {}
    stands: dict[str, Any] = {
        "known": step.now.known,
        "since": step.now.since,
        "sampled_at": step.now.sampled_at,
        "unknown_since": step.now.unknown_since,
        "warning_since": over.get(Level.WARNING),
        "critical_since": over.get(Level.CRITICAL),
    }
    return stands if step.value is None else stands | {"value": step.value}


def _standing(row: Row[Any]) -> CheckState:
    over = {Level.WARNING: row.warning_since, Level.CRITICAL: row.critical_since}
    return CheckState(
        known=Level(row.known),
        since=row.since,
        sampled_at=row.sampled_at,
        unknown_since=row.unknown_since,
        over={level: since for level, since in over.items() if since is not None},
    )


def _key(placed: CheckAtTarget) -> dict[str, str]:
    return {"runbook": placed.runbook, "name": placed.check.name, "target": placed.target.id}


def _at(placed: CheckAtTarget, metric: str, subject: str) -> list[ColumnElement[bool]]:
    named = {**_key(placed), "metric": metric, "subject": subject}
    return [states.c[column] == value for column, value in named.items()]


def _rows(tx: Tx, placed: CheckAtTarget, metric: str) -> Sequence[Row[Any]]:
    named = {**_key(placed), "metric": metric}
    query = select(states).where(*(states.c[column] == value for column, value in named.items()))
    return tx.conn.execute(query.order_by(states.c.subject)).all()


#: From these a wait is counted, or they are waited for.
_WAITED_FROM = (
    states.c.sampled_at,
    states.c.unknown_since,
    states.c.warning_since,
    states.c.critical_since,
    states.c.alert_said_at,
)

FACTS = (
    TableFacts(
        table=states,
        restore=Unchanged("the next samples say where they stand"),
        retention=Unchanged("who is well again is deleted, and at most KEPT are past a bound at once"),
        times=tuple((column, true()) for column in _WAITED_FROM),
    ),
)
