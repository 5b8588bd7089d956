"""Checks: samples, states and the alerts that follow from them, durable together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, select, true, update

from paramedic.alerts.alert import Alert
from paramedic.checks.chart import Point
from paramedic.checks.check import SOURCE, CheckAtTarget, Sample
from paramedic.checks.threshold import CheckState, Threshold, begin
from paramedic.machine.clock import spoken
from paramedic.store import Tx, check_counts, check_subjects, inbox, incidents, mass_failure
from paramedic.store.check_alerts import due
from paramedic.store.check_judgement import Known, Step, gap, judged
from paramedic.store.check_states import State, state_of
from paramedic.store.check_subjects import SubjectStep
from paramedic.store.messages import queue_internal_alert
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import check_samples as samples
from paramedic.store.tables import check_states as states
from paramedic.store.trail import append

#: How many samples of each check at each target are kept.
KEEP = 2000


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric after a sample."""

    threshold: Threshold
    value: float | None  # None: the sample did not show it
    standing: CheckState
    subject: str | None = None  # whose it is, where each subject has a state of its own


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one sample showed, and what followed from it."""

    why: str  # what was seen, in words
    metrics: tuple[Metric, ...]
    alerts: tuple[Alert, ...]  # put into the inbox
    held_back: str | None = None  # why no breach is reported: a mass failure, or nothing can be seen


def record_without_trail(tx: Tx, placed: CheckAtTarget, seen: Sample, *, blind: bool) -> Recorded | None:
    """As `record`, but from `Store.write`, for a sample without a trail entry: it does not take the trail's lock.

    None: the sample needs an entry, or may need one; nothing was written, and the caller uses `record`.
    """
    found = _judged(tx, placed, seen, blind=blind)
    if blind or mass_failure.current(tx) is not None or found.is_change:
        return None
    _write(tx, placed, found)
    return _reported(tx, placed, found, held_back=None)


def record(tx: Tx, placed: CheckAtTarget, seen: Sample, *, blind: bool, mass_limit: int) -> Recorded:
    """Write the sample and what follows from it: each metric's state, and its alert in the inbox. From `Store.record`.

    It counts as taken now, by the database's clock. While `blind`, samples change nothing. Samples from before an
    incident on the target ended do not count: the check's window and its `for` time restart there. A breach is reported
    when it begins, when it gets worse or better, and again every SAY_AGAIN; during a mass failure it is not reported
    at all (`mass`), and afterwards if it still lasts.
    """
    found = _judged(tx, placed, seen, blind=blind)
    _write(tx, placed, found)
    for step in found.all:
        if step.now.known is not step.before.known:
            _append_to_trail(tx, placed, step)
    return _reported(tx, placed, found, held_back=mass_failure.judge(tx, blind=blind, limit=mass_limit))


def evidence(tx: Tx, placed: CheckAtTarget) -> list[Sample]:
    """The samples that count for the check now, oldest first: its window, from when an incident on the target last ended."""
    ended_at = incidents.last_ended_at(tx, placed.target.id)
    return recent(tx, placed, since=tx.now - placed.check.window, ended_at=ended_at)


def recent(tx: Tx, placed: CheckAtTarget, *, since: datetime, ended_at: datetime | None = None) -> list[Sample]:
    """The samples after both moments, oldest first."""
    since = since if ended_at is None else max(since, ended_at)
    query = select(samples).where(*_of(samples, placed), samples.c.at > since).order_by(samples.c.at, samples.c.id)
    return [Sample(row.at, row.values, row.why, row.each or {}) for row in tx.conn.execute(query)]


def points(tx: Tx, placed: CheckAtTarget, metric: str, *, since: datetime) -> list[Point]:
    """The metric's values after the moment, oldest first; None where a sample saw nothing."""
    return [(sample.at, (sample.values or {}).get(metric)) for sample in recent(tx, placed, since=since)]


def state(tx: Tx, placed: CheckAtTarget, metric: str) -> State | None:
    """The metric's state; None before its first sample."""
    row = _row(tx, placed, metric)
    return None if row is None else state_of(row)


def sampled_at(tx: Tx, placed: CheckAtTarget) -> datetime | None:
    """When the check was last sampled."""
    query = select(samples.c.at).where(*_of(samples, placed)).order_by(samples.c.at.desc()).limit(1)
    return tx.conn.execute(query).scalar_one_or_none()


def last_sampled(tx: Tx) -> dict[tuple[str, str, str], datetime | None]:
    """When each check was last sampled, by runbook, name and target's id: of those that are known, all at once."""
    key = (states.c.runbook, states.c.name, states.c.target)
    same = (samples.c.runbook == key[0], samples.c.name == key[1], samples.c.target == key[2])
    newest = select(samples.c.at).where(*same).order_by(samples.c.at.desc()).limit(1).correlate(states)
    query = select(*key, newest.scalar_subquery().label("at")).distinct()
    return {(row.runbook, row.name, row.target): row.at for row in tx.conn.execute(query)}


def expect(tx: Tx, placed: CheckAtTarget) -> None:
    """Expect samples of the check from now on: without them its states go stale, and the watchdog pages a person."""
    stale_at = tx.now + gap(placed)
    for threshold in placed.check.thresholds:
        if _row(tx, placed, threshold.metric) is None:
            first = begin(tx.now)
            tx.conn.execute(
                insert(states).values(
                    **_key(placed),
                    metric=threshold.metric,
                    service=placed.target.service,
                    known=first.known,
                    since=first.since,
                    sampled_at=first.sampled_at,
                    unknown_since=first.unknown_since,
                    why="not measured yet",
                    stale_at=stale_at,
                )
            )
        late = (states.c.metric == threshold.metric, states.c.stale_at < stale_at)
        tx.conn.execute(update(states).where(*_of(states, placed), *late).values(stale_at=stale_at))


def retire(tx: Tx, placed: Sequence[CheckAtTarget]) -> None:
    """Delete the states of checks that are no longer among these. From `Store.record`."""
    known = {
        (placed_check.runbook, placed_check.check.name, placed_check.target.id, each.metric)
        for placed_check in placed
        for each in placed_check.check.thresholds
    }
    check_subjects.retire(tx, known)
    columns = (states.c.runbook, states.c.name, states.c.target, states.c.metric)
    for row in tx.conn.execute(select(*columns)).all():
        if tuple(row) not in known:
            same = [column == value for column, value in zip(columns, row, strict=True)]
            tx.conn.execute(delete(states).where(*same))


# --- one metric -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Judged:
    """One more sample, and its effect on each metric."""

    sample: Sample
    values: Mapping[str, float] | None
    steps: Sequence[Step]
    subjects: Sequence[SubjectStep]

    @property
    def is_change(self) -> bool:
        """Whether the trail or the mass-failure count depends on it."""
        return any(step.is_change for step in self.all)

    @property
    def all(self) -> list[Step | SubjectStep]:
        """The effect on each metric, and on each subject."""
        return [*self.steps, *self.subjects]


def _judged(tx: Tx, placed: CheckAtTarget, seen: Sample, *, blind: bool) -> _Judged:
    seen = Sample(tx.now, None, mass_failure.BLIND) if blind else replace(seen, at=tx.now)
    check = placed.check
    ended_at = incidents.last_ended_at(tx, placed.target.id)
    earlier = recent(tx, placed, since=tx.now - check.window, ended_at=ended_at) if check.looks_back() else []
    rows = {name: row for name in (bounds.metric for bounds in check.thresholds) if (row := _row(tx, placed, name))}
    found = judged(placed, seen, Known(ended_at, earlier, rows, check_counts.rates(tx, placed, seen, since=ended_at)))
    subjects, beyond = check_subjects.judged(tx, placed, seen, ended_at=ended_at, gap=gap(placed))
    if beyond:
        more = f"{beyond} more are past their bound, and {check_subjects.KEPT} are worked on at once"
        seen = replace(seen, why=f"{seen.why}; {more}")
    return _Judged(seen, found.values, found.steps, subjects)


def _write(tx: Tx, placed: CheckAtTarget, found: _Judged) -> None:
    seen = found.sample
    each = check_subjects.kept_of(seen, found.subjects)
    tx.conn.execute(insert(samples).values(**_key(placed), at=tx.now, values=found.values, each=each, why=seen.why))
    trim(tx, placed)
    check_counts.count(tx, placed, seen)
    for step in found.steps:
        metric, stands = step.threshold.metric, step.columns(placed, tx.now, seen.why)
        if step.row is None:
            tx.conn.execute(insert(states).values(**_key(placed), metric=metric, **stands))
        else:
            tx.conn.execute(update(states).where(*_of(states, placed), states.c.metric == metric).values(**stands))


def _reported(tx: Tx, placed: CheckAtTarget, found: _Judged, *, held_back: str | None) -> Recorded:
    """Report what is to be reported of the sample that was written."""
    raised = [_raise_alert(tx, placed, step.threshold, held_back=held_back is not None) for step in found.steps]
    of_subjects = check_subjects.write(tx, placed, found.subjects, held_back=held_back is not None)
    if of_subjects:
        inbox.put(tx, of_subjects, source=SOURCE, sender="checks", tier=placed.target.tier)
    each = (Metric(step.threshold, step.value, step.now, step.subject) for step in found.subjects)
    return Recorded(
        why=found.sample.why,
        metrics=(*(Metric(step.threshold, step.value, step.now) for step in found.steps), *each),
        alerts=(*(alert for alert in raised if alert is not None), *of_subjects),
        held_back=held_back,
    )


def _append_to_trail(tx: Tx, placed: CheckAtTarget, step: Step | SubjectStep) -> None:
    threshold = step.threshold
    append(
        tx,
        actor="checks",
        phase="decision",
        what=f"check.{step.now.known}",
        target=placed.target.id,
        reason=f"{_value_in_words(threshold, step.value)} ({threshold.spoken()}, for {spoken(threshold.held_for) or '0s'})",
        data={"runbook": placed.runbook, "check": placed.check.name, "metric": threshold.metric},
    )


def _raise_alert(tx: Tx, placed: CheckAtTarget, threshold: Threshold, *, held_back: bool) -> Alert | None:
    row = _row(tx, placed, threshold.metric)
    if row is None:
        return None
    state = state_of(row)
    if state.standing.unknown_since is not None:
        if not held_back:
            _report_unknown(tx, placed, state)
        return None
    said = due(row, state.standing, tx.now, held_back=held_back)
    if said is None:
        return None
    alert = placed.alert(threshold, said.level, value=state.value, began_at=said.began_at, ended_at=said.ended_at)
    inbox.put(tx, [alert], source=SOURCE, sender="checks", tier=placed.target.tier)
    at = (*_of(states, placed), states.c.metric == threshold.metric)
    tx.conn.execute(update(states).where(*at).values(**said.columns(tx.now)))
    return alert


def _report_unknown(tx: Tx, placed: CheckAtTarget, state: State) -> None:
    since = state.standing.unknown_since
    if since is not None and tx.now - since >= placed.check.unknown_after:
        queue_internal_alert(
            tx,
            subject=f"The check {placed.name} sees nothing at {placed.target.id}",
            body=f"For {spoken(tx.now - since)} it has been neither well nor broken: {state.why}\n\n"
            "No playbook is started for that. Look whether the check, or what it looks at, is at fault.",
            same_within_minutes=60,
            times=0,
        )


def _value_in_words(threshold: Threshold, value: float | None) -> str:
    return f"{threshold.metric} is {'unknown' if value is None else threshold.unit.spoken(value)}"


def trim(tx: Tx, placed: CheckAtTarget) -> None:
    """Delete all but the newest KEEP samples of the check."""
    newest = select(samples.c.at).where(*_of(samples, placed)).order_by(samples.c.at.desc())
    oldest_kept = newest.offset(KEEP - 1).limit(1).scalar_subquery()
    tx.conn.execute(delete(samples).where(*_of(samples, placed), samples.c.at < oldest_kept))


def _key(placed: CheckAtTarget) -> Mapping[str, str]:
    return {"runbook": placed.runbook, "name": placed.check.name, "target": placed.target.id}


def _of(table: Any, placed: CheckAtTarget) -> list[ColumnElement[bool]]:
    return [table.c[column] == value for column, value in _key(placed).items()]


def _row(tx: Tx, placed: CheckAtTarget, metric: str) -> Row[Any] | None:
    return tx.conn.execute(select(states).where(*_of(states, placed), states.c.metric == metric)).one_or_none()


#: From these a wait is counted, or they are waited for.
_WAITED_FROM = (
    states.c.sampled_at,
    states.c.unknown_since,
    states.c.warning_since,
    states.c.critical_since,
    states.c.stale_at,
    states.c.alert_said_at,
)

FACTS = (
    TableFacts(
        table=states,
        restore=Unchanged("the next samples say where they stand"),
        retention=Unchanged("one row for each metric of a check at a target"),
        times=tuple((column, true()) for column in _WAITED_FROM),
    ),
    TableFacts(
        table=samples,
        restore=Unchanged("they were seen then"),
        retention=Unchanged("of each check at each target the newest KEEP are kept by who writes them"),
        times=((samples.c.at, true()),),  # windows are counted from now
    ),
)
