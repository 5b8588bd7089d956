"""`paramedic check run`, apart from the list: to measure, it loads what the list does not need."""

from datetime import timedelta
from functools import cache
from typing import Any

import typer

from paramedic.catalog.library import open_library
from paramedic.checks.check import CheckAtTarget
from paramedic.checks.threshold import Level, Threshold
from paramedic.cli.check_words import metric_words
from paramedic.cli.opened import NoStore, opened
from paramedic.cli.output import AsJson, Data, Negative, console, protected_settings, safe, say_json, table
from paramedic.errors import PermanentError
from paramedic.machine.clock import utc_now
from paramedic.sampling import one_sample
from paramedic.store import StoreUnavailable, StoreUnknown, heartbeats

app = typer.Typer(add_completion=False, rich_markup_mode=None)


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
        metric_words(placed, threshold, level=_passed(threshold, value), value=value, why=seen.why)
        for threshold in placed.check.thresholds
        for value in [values.get(threshold.metric)]
    ]


def _passed(threshold: Threshold, value: float | None) -> Level:
    """The bound that this value passes, regardless of `for`."""
    if value is None:
        return Level.UNKNOWN
    passed = (level for level in (Level.CRITICAL, Level.WARNING) if threshold.passes(value, level, established=False))
    return next(passed, Level.OK)
