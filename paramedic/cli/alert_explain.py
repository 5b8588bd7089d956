"""`paramedic alert explain`."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from paramedic.alerts import severity_words
from paramedic.alerts.alert import Alert, Status
from paramedic.alerts.reading import BadPayload, Reading
from paramedic.alerts.severity_words import SeverityTable
from paramedic.catalog.library import Library
from paramedic.cli.opened import NoStore, opened
from paramedic.cli.output import AsJson, Data, Negative, console, protected_settings, safe, say_json, table
from paramedic.cli.runbook import Folder, library_of
from paramedic.cli.source_named import Source, source_named
from paramedic.intake import routing
from paramedic.intake.dry_run import rehearse
from paramedic.machine.clock import iso
from paramedic.settings import Settings
from paramedic.store import Store
from paramedic.text.nearest import nearest

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def explain(  # noqa: PLR0917 - one parameter an option
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The body, as its sender would post it.")],
    source: Source,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", help="A header of the request; may be repeated.", metavar="'NAME: VALUE'"),
    ] = None,
    sender: Annotated[
        str | None, typer.Option("--sender", help="Who would post it: for which services it may speak.", metavar="NAME")
    ] = None,
    folder: Folder = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show what is understood of a body, field by field, and what would happen. Nothing is sent, asked or changed.

    Where the data folder has a store, what was done before counts. Exit code 1 if nothing of the body is an alert.
    """
    settings = protected_settings(data)
    try:
        reading = source_named(source).read(_headers(header), file.read_bytes())
    except BadPayload as error:
        raise Negative(f"{file}: {error}; it would be quarantined, and a person paged") from error
    library = library_of(folder, data)
    store = _store(data)
    severities = SeverityTable(settings.severities)
    restricted = settings.sender_services
    if sender is not None and sender not in (known := _senders(settings)):
        raise typer.BadParameter(
            f"--sender {sender!r:.80} is none; {nearest(sender, known, 'there are') or 'none is set'}"
        )
    found = [_explained(severities.judged(alert), library, store, restricted, sender) for alert in reading.alerts]
    if as_json:
        say_json({"alerts": found, "bad": [asdict(bad) for bad in reading.bad], "asides": _asides(reading)})
    else:
        _say(found, reading)
    if not found:
        raise typer.Exit(1)


def _headers(given: list[str] | None) -> Mapping[str, str]:
    headers = {}
    for line in given or ():
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise typer.BadParameter(f"--header {line!r}: write it as 'NAME: VALUE'")
        headers[name.strip().lower()] = value.strip()
    return headers


def _senders(settings: Settings) -> list[str]:
    """Every sender that the gateway knows."""
    return sorted({*settings.gateway_tokens, *settings.gateway_users, *settings.sns_topics, *settings.sender_services})


def _explained(
    alert: Alert,
    library: Library,
    store: Store | None,
    restricted: Mapping[str, Collection[str]],
    sender: str | None,
) -> dict[str, Any]:
    place = routing.place(alert, library)
    if sender is None:
        barred = [name for name, services in sorted(restricted.items()) if place.service not in services]
    else:
        barred = []
        services = restricted.get(sender)
        if services is not None and place.service not in services:
            return _beyond(alert, routing.beyond(place, alert, services), library, store)
    return {
        "alert": alert.as_json(),
        "service": place.service,
        "target": place.target,
        "runbook": place.runbook.name if place.runbook else None,
        "why": place.why,
        "happens": [*_consequence(alert, place, library, store), *_said_by(barred, place.service)],
    }


def _beyond(alert: Alert, place: routing.Place, library: Library, store: Store | None) -> dict[str, Any]:
    """As `_explained`, of an alert for whose service its sender may not speak."""
    happens = _consequence(alert, place, library, store)
    if alert.status is not Status.FIRING:
        happens = ("no word of it ends or takes an incident of another service than those (sender_services)",)
    return {
        "alert": alert.as_json(),
        "service": place.service,
        "target": place.target,
        "runbook": None,
        "why": place.why,
        "happens": list(happens),
    }


def _said_by(barred: Sequence[str], service: str) -> Iterator[str]:
    if barred:
        yield (
            f"posted by {', '.join(barred)} it would go to a person, and nothing would be changed: "
            f"sender_services does not let them speak for {service} (`--sender NAME` shows one)"
        )


def _consequence(alert: Alert, place: routing.Place, library: Library, store: Store | None) -> tuple[str, ...]:
    if alert.informational:
        word = severity_words.shown(alert.labels.get(severity_words.LABEL, ""))
        return (f"its severity {word} is for information: it opens nothing and pages nobody",)
    match alert.status:
        case Status.RESOLVED:
            return ("it is over, its sender says: the open incident is marked so, and ends by its own verification",)
        case Status.ACKNOWLEDGED:
            return ("a person there has it: the escalation of its incident pauses, if people have it already",)
    if place.runbook is None:
        return (f"it opens an incident that goes to a person at once: {place.why}",)
    return rehearse(alert, place.runbook, library, store).lines


def _asides(reading: Reading) -> list[dict[str, Any]]:
    return [{"what": aside.what, "a_person_is_told": aside.tell} for aside in reading.asides]


def _say(found: list[dict[str, Any]], reading: Reading) -> None:
    for each, alert in zip(found, reading.alerts, strict=True):
        rows = table("field", "read as")
        for field, value in _fields(each, alert):
            rows.add_row(safe(field), safe(value))
        console.print(rows)
        for line in each["happens"]:
            console.print(f"  {safe(line)}")
    for bad in reading.bad:
        console.print(f"cannot be read, would be quarantined, and a person paged: {safe(bad.error)}")
    for aside in reading.asides:
        console.print(f"no alert: it {safe(aside.what)}; it would be kept{', and a person told' if aside.tell else ''}")
    if reading.truncated:
        console.print(f"its sender left {reading.truncated} more alerts out: a person would be told")
    if not (found or reading.bad or reading.asides):
        console.print("it holds no alert")


def _fields(each: dict[str, Any], alert: Alert) -> list[tuple[str, str]]:
    judged = each["alert"]
    known = [
        ("name", judged["name"]),
        ("status", judged["status"] + (f" by {judged['by']}" if judged["by"] else "")),
        ("severity", "information" if judged["informational"] else judged["severity"]),
        ("began", iso(alert.starts_at)),
        ("ended", iso(alert.ends_at) if alert.ends_at else ""),
        ("fingerprint", judged["fingerprint"]),
        ("service", each["service"]),
        ("target", each["target"]),
        ("runbook", each["runbook"] or f"none: {each['why']}"),
    ]
    labels = [(f"label {name}", value) for name, value in sorted(alert.labels.items())]
    annotations = [(f"annotation {name}", value) for name, value in sorted(alert.annotations.items())]
    notes = [("read with a change", note) for note in judged["notes"]]
    return [(name, value) for name, value in (*known, *labels, *annotations, *notes) if value]


def _store(data: Path | None) -> Store | None:
    try:
        return opened(data)[1]
    except NoStore:
        return None  # nothing was done here yet
