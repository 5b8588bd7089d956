"""`paramedic pause`: the kill switch. It stops acts, never pages."""

import difflib
from collections.abc import Iterable
from typing import Annotated

import typer

from paramedic.catalog.library import open_library
from paramedic.cli.opened import opened
from paramedic.cli.output import AsJson, By, Data, Negative, command_of, console, safe, say_json, written
from paramedic.cli.resume import Runbook, Service, fields_of, say_standing, scope_named
from paramedic.settings import Settings
from paramedic.store import Store, incidents, kill_switch
from paramedic.text.sanitize import visible
from paramedic.text.yaml_document import BadDocument

pause_app = typer.Typer(add_completion=False, rich_markup_mode=None)


@pause_app.command()
def pause(
    *,
    by: By,
    service: Service = None,
    runbook: Runbook = None,
    because: Annotated[str, typer.Option(help="Why.", callback=written)] = "no reason was given",
    list_: Annotated[bool, typer.Option("--list", help="Show what is paused, and pause nothing.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Stop every act from now on, or those on one service or by one runbook. Alerts are still accepted, people still paged."""
    settings, store = opened(data)
    if list_:
        say_standing(data, as_json=as_json)
        return
    scope = scope_named(service=service, runbook=runbook)
    _known(store, settings, service=service, runbook=runbook)
    with store.record() as tx:
        kill_switch.pause(tx, by=by, reason=because, scope=scope)
        stands = next(pause for pause in kill_switch.standing(tx) if pause.scope == scope)
    if as_json:
        say_json(fields_of(stands))
        return
    console.print(f"acting is paused: {safe(stands.words)}\n`{safe(stands.resume)}` allows it again")


def _known(store: Store, settings: Settings, *, service: str | None, runbook: str | None) -> None:
    """Refuse a misspelt name: its pause would stop nothing. Where the folder cannot be read, any name is accepted."""
    if service is None and runbook is None:
        return
    try:
        library = open_library(settings)
    except BadDocument as error:
        typer.echo(f"not compared with the runbooks, which cannot be read: {visible(str(error))}", err=True)
        return
    with store.read() as tx:
        services, runbooks = incidents.services(tx), incidents.runbooks(tx)
    if service is not None:
        listed = {target.service for target in library.services}
        _one_of("service", service, listed | services)
    if runbook is not None:
        files = {path.stem for path in settings.runbooks.glob("*.md")}  # one that is broken may still be at work
        _one_of("runbook", runbook, files | runbooks)


def _one_of(kind: str, name: str, known: Iterable[str]) -> None:
    names = sorted(known)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(names[:20]) or 'none'}"
        raise Negative(f"there is no {kind} {name!r}, so that nothing is paused; {meant}")


pause_command = command_of(pause_app)
