"""`paramedic check list`."""

from typing import Any

import typer

from paramedic.catalog.library import Library, open_library
from paramedic.checks.check import CheckAtTarget
from paramedic.checks.threshold import Level, Threshold
from paramedic.cli.check_words import metric_words
from paramedic.cli.opened import opened
from paramedic.cli.output import AsJson, Data, console, safe, say_json, table
from paramedic.machine.clock import iso
from paramedic.store import check_states, check_subjects
from paramedic.store.check_states import State
from paramedic.store.check_subjects import SubjectState

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("list")
def list_(data: Data = None, as_json: AsJson = False) -> None:
    """Each metric of each check at each target: its state, last value, and since when."""
    settings, store = opened(data)
    metrics = _metrics(open_library(settings))
    with store.read() as tx:
        now = tx.now
        subjects = {
            (placed.runbook, placed.check.name, placed.target.id, threshold.metric): check_subjects.of(
                tx, placed, threshold.metric
            )
            for placed, threshold in metrics
        }
        states = {(state.runbook, state.name, state.target, state.metric): state for state in check_states.listed(tx)}
    rows = []
    for placed, threshold in metrics:
        key = (placed.runbook, placed.check.name, placed.target.id, threshold.metric)
        state = states.get(key)
        stale = state is not None and state.stale_at <= now
        rows.append(_row(placed, threshold, state, stale=stale))
        rows += [_of_subject(placed, threshold, found) for found in subjects[key] if not stale]
    if as_json:
        say_json(rows)
        return
    shown = table("check", "target", "metric", "state", "value", "bounds", "since", "what was seen")
    for row in rows:
        columns = ("check", "target", "metric", "state", "spoken", "bounds", "since", "why")
        shown.add_row(*(safe(row[column] or "") for column in columns))
    console.print(shown)


def _metrics(library: Library) -> list[tuple[CheckAtTarget, Threshold]]:
    return [(placed, threshold) for _, placed in library.placed() for threshold in placed.check.thresholds]


def _of_subject(placed: CheckAtTarget, threshold: Threshold, found: SubjectState) -> dict[str, Any]:
    standing, since = found.standing, found.standing.unknown_since or found.standing.since
    named = f"{placed.check.by(threshold.metric)} {found.subject}"
    return metric_words(placed, threshold, level=standing.level, value=found.value, why=named) | {"since": iso(since)}


def _row(placed: CheckAtTarget, threshold: Threshold, state: State | None, *, stale: bool) -> dict[str, Any]:
    if state is None:
        return metric_words(placed, threshold, level=Level.UNKNOWN, value=None, why="not measured yet") | {
            "since": None
        }
    standing = state.standing
    why = f"nobody has looked since {iso(standing.sampled_at)}" if stale else state.why
    level = Level.UNKNOWN if stale else standing.level
    since = standing.sampled_at if stale else standing.unknown_since or standing.since
    return metric_words(placed, threshold, level=level, value=state.value, why=why) | {"since": iso(since)}
