"""`paramedic check`."""

from datetime import timedelta
from functools import cache
from typing import Any

import typer

from paramedic.catalog.library import Library, open_library
from paramedic.checks.check import CheckAtTarget
from paramedic.checks.threshold import Level, Threshold
from paramedic.cli.opened import NoStore, opened
from paramedic.cli.output import AsJson, Data, Negative, command_of, console, protected_settings, safe, say_json, table
from paramedic.errors import PermanentError
from paramedic.machine.clock import iso, utc_now
from paramedic.sampling import one_sample
from paramedic.store import StoreUnavailable, StoreUnknown, checks, heartbeats
from paramedic.store.checks import State

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="What Paramedic measures.")


@app.command("list")
def list_(data: Data = None, as_json: AsJson = False) -> None:
    """Each metric of each check at each target: its state, last value, and since when."""
    settings, store = opened(data)
    with store.read() as tx:
        now = tx.now
        states = {(state.runbook, state.name, state.target, state.metric): state for state in checks.listed(tx)}
    rows = []
    for placed, threshold in _metrics(open_library(settings)):
        state = states.get((placed.runbook, placed.check.name, placed.target.id, threshold.metric))
        rows.append(_row(placed, threshold, state, stale=state is not None and state.stale_at <= now))
    if as_json:
        say_json(rows)
        return
    shown = table("check", "target", "metric", "state", "value", "bounds", "since", "what was seen")
    for row in rows:
        columns = ("check", "target", "metric", "state", "spoken", "bounds", "since", "why")
        shown.add_row(*(safe(row[column] or "") for column in columns))
    console.print(shown)


@app.command()
def run(name: str, data: Data = None, as_json: AsJson = False) -> None:
    """Measure one check now, at each of its targets, and show the result. Nothing is recorded; no alert is raised.

    Exit code 1 where a value passes a bound, or nothing is seen.
    """
    settings = protected_settings(data)
    library = open_library(settings)
    places = [placed for _, placed in library.placed() if name in (placed.name, placed.check.name)]
    if not places:
        known = sorted({placed.name for _, placed in library.placed()})
        raise Negative(f"there is no check {name!r}; there are {', '.join(known) or 'none'}")
    store = cache(lambda: opened(data)[1])
    unopened: list[Exception] = []

    def last_heartbeat(beat: str) -> timedelta | None:
        try:
            with store().read() as tx:
                return heartbeats.missing_for(tx, beat)
        except (StoreUnavailable, StoreUnknown, NoStore) as error:
            unopened.append(error)
            raise PermanentError(str(error)) from error

    rows = [row for placed in places for row in _now(placed, last_heartbeat)]
    if unopened:
        raise unopened[0]  # a look that asked the store saw nothing for that reason alone
    if as_json:
        say_json(rows)
    else:
        shown = table("check", "target", "metric", "now", "value", "bounds", "what was seen")
        for row in rows:
            shown.add_row(
                *(
                    safe(row[column] or "")
                    for column in ("check", "target", "metric", "state", "spoken", "bounds", "why")
                )
            )
        console.print(shown)
    if any(row["state"] != Level.OK for row in rows):
        raise typer.Exit(1)


def _now(placed: CheckAtTarget, last_heard: one_sample.LastHeard) -> list[dict[str, Any]]:
    seen = one_sample.sample(placed.check, placed.target, now=utc_now, last_heard=last_heard)
    values = placed.check.metrics([seen])
    return [
        _words(placed, threshold, level=_passed(threshold, value), value=value, why=seen.why)
        for threshold in placed.check.thresholds
        for value in [values.get(threshold.metric)]
    ]


def _passed(threshold: Threshold, value: float | None) -> Level:
    """The bound that this value passes, regardless of `for`."""
    if value is None:
        return Level.UNKNOWN
    passed = (level for level in (Level.CRITICAL, Level.WARNING) if threshold.passes(value, level, established=False))
    return next(passed, Level.OK)


def _metrics(library: Library) -> list[tuple[CheckAtTarget, Threshold]]:
    return [(placed, threshold) for _, placed in library.placed() for threshold in placed.check.thresholds]


def _row(placed: CheckAtTarget, threshold: Threshold, state: State | None, *, stale: bool) -> dict[str, Any]:
    if state is None:
        return _words(placed, threshold, level=Level.UNKNOWN, value=None, why="not measured yet") | {"since": None}
    standing = state.standing
    why = f"nobody has looked since {iso(standing.sampled_at)}" if stale else state.why
    level = Level.UNKNOWN if stale else standing.level
    since = standing.sampled_at if stale else standing.unknown_since or standing.since
    return _words(placed, threshold, level=level, value=state.value, why=why) | {"since": iso(since)}


def _words(
    placed: CheckAtTarget, threshold: Threshold, *, level: Level, value: float | None, why: str
) -> dict[str, Any]:
    return {
        "check": placed.name,
        "target": placed.target.id,
        "metric": threshold.metric,
        "state": level.value,
        "value": value,
        "spoken": None if value is None else threshold.unit.spoken(value),
        "bounds": threshold.spoken(),
        "why": why,
    }


check_command = command_of(app)
