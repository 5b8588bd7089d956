"""`paramedic runbook test`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from paramedic.alerts.reading import Bad, BadPayload, Reading
from paramedic.alerts.severity_words import SeverityTable
from paramedic.catalog import deployments
from paramedic.catalog.library import Library
from paramedic.catalog.playbook_file import About, about
from paramedic.catalog.runbook import Runbook
from paramedic.cli.opened import NoStore, opened
from paramedic.cli.output import (
    AsJson,
    Data,
    Negative,
    console,
    protected_settings,
    safe,
    say_json,
)
from paramedic.cli.runbook import Folder, library_of, named
from paramedic.cli.source_named import Source, source_named
from paramedic.intake.dry_run import Rehearsal, of_its_checks, rehearse
from paramedic.machine.clock import iso, utc_now
from paramedic.settings import Settings
from paramedic.store import Store

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("test")
def tried(  # noqa: PLR0917 - one parameter an option
    name: str,
    alert: Annotated[
        Path | None,
        typer.Option(
            "--alert",
            exists=True,
            dir_okay=False,
            help="A body, as its sender would post it; without it, what the runbook's own checks would raise.",
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--label", help="An alert that this runbook wants, with this label; may be repeated.", metavar="K=V"
        ),
    ] = None,
    source: Source = "alertmanager",
    folder: Folder = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show what the runbook would do about an alert, and what would stop it. Nothing is sent, asked or changed.

    Where the data folder has a store, what was done before counts: cooldowns, budgets, pauses, maintenance.
    Exit code 1 if it would not act.
    """
    library = library_of(folder, data)
    runbook = named(library, name)
    settings = protected_settings(data)
    if alert is not None and labels:
        raise typer.BadParameter("--label makes an alert, and --alert names one: give one of both")
    reading = (
        _judged(_posted(alert, source), settings)
        if alert is not None
        else _judged(_labelled(runbook, labels), settings)
        if labels
        else _measured(runbook, library)
    )
    store = _store(data)
    own = _own_playbook(runbook, settings)
    found = [rehearse(alert, runbook, library, store, own) for alert in reading.alerts]
    if as_json:
        say_json([asdict(each) for each in found])
    else:
        _say_rehearsed(found, reading.bad)
    if not any(each.acts for each in found):
        raise typer.Exit(1)


def _say_rehearsed(found: Sequence[Rehearsal], bad: Sequence[Bad]) -> None:
    for each in found:
        console.print(safe(each.alert))
        for line in each.lines:
            console.print(f"  {safe(line)}")
    for part in bad:
        console.print(f"one alert of the body cannot be read: {safe(part.error)}")


def _measured(runbook: Runbook, library: Library) -> Reading:
    if not runbook.checks:
        raise typer.BadParameter(
            f"runbook {runbook.name} has no check: name an alert to rehearse it with, --alert FILE"
        )
    raised = of_its_checks(runbook, library.services, utc_now())
    if not raised:
        raise Negative(f"the checks of {runbook.name} measure nothing: its `with.target` can mean no listed target")
    return Reading(raised)


def _posted(alert: Path, source: str) -> Reading:
    try:
        return source_named(source).read({}, alert.read_bytes())
    except BadPayload as error:
        raise typer.BadParameter(f"{alert}: {error}") from error


def _judged(reading: Reading, settings: Settings) -> Reading:
    return replace(reading, alerts=tuple(map(SeverityTable(settings.severities).judged, reading.alerts)))


def _labelled(runbook: Runbook, words: list[str]) -> Reading:
    """An alert with these labels, which has by itself what the runbook's first matcher asks to be equal."""
    labels = {}
    for matcher in runbook.matchers[:1]:
        labels = {equal.name: equal.value for equal in matcher.matchers if equal.op == "="}
        labels |= {"alertname": matcher.alert} if matcher.alert is not None else {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"--label {word!r}: write it as name=value, e.g. instance=web-1")
        labels[name] = value
    if not labels.get("alertname"):
        raise typer.BadParameter("no alert has no name: add --label alertname=NAME")
    alert = {"status": "firing", "labels": labels, "annotations": {}, "startsAt": iso(utc_now())}
    body = {"version": "4", "status": "firing", "alerts": [alert]}
    return source_named("alertmanager").read({}, json.dumps(body).encode())


def _own_playbook(runbook: Runbook, settings: Settings) -> About | None:
    if settings.flows is None or runbook.playbook in deployments.playbooks(None):
        return None
    return about(settings.flows / f"{runbook.playbook.replace('-', '_')}.py")


def _store(data: Path | None) -> Store | None:
    try:
        return opened(data)[1]
    except NoStore:
        return None  # nothing was done here yet
