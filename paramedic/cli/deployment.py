"""`paramedic deployment`: what was rolled out, told by hand, and the list of what was told and seen."""

import os
from dataclasses import asdict
from typing import Annotated

import typer

from paramedic.cli.lazy_group import loaded
from paramedic.cli.opened import opened
from paramedic.cli.output import AsJson, Data, Limit, Negative, command_of, console, safe, say_json, table
from paramedic.machine.clock import iso
from paramedic.remediation.deployment import BadDeployment, parsed
from paramedic.store import deployments
from paramedic.store.deployments import OtherDeployment, TooMany
from paramedic.text.units import moment

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="What was deployed, and when: an incident says in its first message what came just before it.",
)


@app.command()
def add(
    *,
    service: Annotated[str, typer.Option(help="The service.", metavar="NAME")],
    version: Annotated[str, typer.Option(help="What was deployed: a version, a tag, a commit.", metavar="TEXT")],
    target: Annotated[str | None, typer.Option(help="Only this target, e.g. web-1/shop.", metavar="ID")] = None,
    environment: Annotated[str | None, typer.Option(help="prod, staging, …", metavar="NAME")] = None,
    at: Annotated[str | None, typer.Option(help="2026-01-31T22:00+01:00, now, -2h.", metavar="TIME")] = None,
    by: Annotated[str | None, typer.Option(help="Who deployed it.", metavar="NAME")] = None,
    link: Annotated[str | None, typer.Option(help="A page about it.", metavar="URL")] = None,
    id_: Annotated[
        str | None, typer.Option("--id", help="What is told again with it is the same deployment.", metavar="ID")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Tell of a deployment, as `POST /deployments` does."""
    settings, store = opened(data)
    loaded("known_names").check(store, settings, services=[service], so="so that no incident would tell of it")
    given = {"service": service, "version": version, "target": target, "environment": environment, "link": link}
    with store.record() as tx:
        try:
            when = None if at is None else iso(moment(at, after=tx.now))
        except ValueError as error:
            raise typer.BadParameter(f"--at {error}") from error
        who = by or os.environ.get("USER", "somebody")
        try:
            told = parsed(given | {"at": when, "by": by, "id": id_}, told_by=who, now=tx.now)
            is_new = deployments.tell(tx, told, actor=f"person:{who}")
        except BadDeployment as error:
            raise typer.BadParameter(f"--{error}") from error
        except OtherDeployment as error:
            raise Negative(f"--id: {error}") from error
        except TooMany as error:
            raise Negative(error.reason) from error
    if as_json:
        say_json(asdict(told) | {"at": iso(told.at), "new": is_new})
        return
    words = "" if is_new else " was known already"
    console.print(f"{safe(told.id)}: {safe(told.service)} {safe(told.version)}, {iso(told.at)[:16]}Z{words}")


@app.command("list")
def list_(
    *,
    service: Annotated[str | None, typer.Option(help="Only of this service.", metavar="NAME")] = None,
    limit: Limit = 50,
    before: Annotated[str | None, typer.Option(help="Page on from this id.", metavar="ID")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """The deployments that were told of, and those that Paramedic saw itself, newest first."""
    settings, store = opened(data)
    with store.read() as tx:
        try:
            found = deployments.listed(tx, service=service, limit=limit, before=before)
        except LookupError as error:
            raise Negative(str(error)) from error
    if service is not None and not found and before is None:
        loaded("known_names").check(store, settings, services=[service], so="so that it has no deployment")
    if as_json:
        say_json([asdict(one) | {"at": iso(one.at), "received_at": iso(heard)} for one, heard in found])
        return
    rows = table("at", "service", "version", "target", "environment", "by", "told by", "link", "id")
    for one, _ in found:
        told_by = one.told_by or "(seen)"
        rest = (one.target or "all", one.environment or "", one.by or "", told_by, one.link or "", one.id)
        rows.add_row(*map(safe, (iso(one.at)[:19], one.service, one.version, *rest)))
    console.print(rows)
    if len(found) == limit:
        console.print(f"more: --before {safe(found[-1][0].id)}")


deployment_command = command_of(app)
