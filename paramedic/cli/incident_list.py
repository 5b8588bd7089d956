"""`paramedic incident list`, apart from the other commands: it is asked for often, and loads little."""

from datetime import datetime
from typing import Annotated

import typer

from paramedic.alerts.alert import Severity
from paramedic.cli.lazy_group import loaded
from paramedic.cli.one_incident import fields_of
from paramedic.cli.opened import number_of, opened
from paramedic.cli.output import AsJson, Data, Limit, console, safe, say_json, table
from paramedic.incidents.incident import State
from paramedic.machine.clock import iso
from paramedic.store import incidents
from paramedic.text.units import moment

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("list")
def list_(
    *,
    state: Annotated[list[State] | None, typer.Option(help="Only in this state; may be repeated.")] = None,
    service: Annotated[list[str] | None, typer.Option(help="Only of this service; may be repeated.")] = None,
    severity: Annotated[list[Severity] | None, typer.Option(help="Only of this severity; may be repeated.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only opened since: -2h, 2026-01-31T22:00+01:00.", metavar="TIME")
    ] = None,
    limit: Limit = 50,
    before: Annotated[str | None, typer.Option(help="Page on from this one.", metavar="ID")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """The newest first. A service that neither services.yaml lists nor an incident had is refused."""
    settings, store = opened(data)
    with store.read() as tx:
        found = incidents.listed(
            tx,
            states=state or (),
            services=service or (),
            severities=severity or (),
            since=_since(since, tx.now),
            limit=limit,
            before=number_of(before) if before else None,
        )
        without = set(service or ()) - incidents.services(tx) if service else set()
    if without:
        loaded("known_names").check(store, settings, services=sorted(without), so="so that it has no incidents")
    if as_json:
        say_json([fields_of(incident) for incident in found])
        return
    rows = table("id", "state", "outcome", "severity", "service", "target", "title", "opened", "person")
    for incident in found:
        fields = (
            incident.id,
            incident.state,
            incident.outcome,
            incident.severity,
            incident.service,
            incident.target,
            incident.title,
        )
        rows.add_row(*map(safe, fields), iso(incident.opened_at)[:19], safe(incident.acknowledged_by or ""))
    console.print(rows)
    if len(found) == limit:
        console.print(f"more: --before {found[-1].id}")


def _since(text: str | None, now: datetime) -> datetime | None:
    try:
        return None if text is None else moment(text, after=now)
    except ValueError as error:
        raise typer.BadParameter(f"--since {error}") from error
