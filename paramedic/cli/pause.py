"""`paramedic pause`, `resume` and `pauses`: the kill switch. It stops acts, never pages."""

import difflib
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from paramedic.catalog.library import open_library
from paramedic.cli.opened import opened
from paramedic.cli.output import AsJson, By, Data, Negative, command_of, console, safe, say_json, table
from paramedic.machine.clock import iso
from paramedic.remediation.kill_switch import Pause, scope_of
from paramedic.settings import Settings
from paramedic.store import Store, incidents, kill_switch
from paramedic.text.sanitize import visible
from paramedic.text.yaml_document import BadDocument

pause_app = typer.Typer(add_completion=False, rich_markup_mode=None)
resume_app = typer.Typer(add_completion=False, rich_markup_mode=None)
pauses_app = typer.Typer(add_completion=False, rich_markup_mode=None)

Service = Annotated[str | None, typer.Option(help="Only acts on the targets of this service.", metavar="NAME")]
Runbook = Annotated[str | None, typer.Option(help="Only acts by this runbook.", metavar="NAME")]


@pause_app.command()
def pause(
    *,
    by: By,
    service: Service = None,
    runbook: Runbook = None,
    because: Annotated[str, typer.Option(help="Why.")] = "no reason was given",
    list_: Annotated[bool, typer.Option("--list", help="Show what is paused, and pause nothing.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Stop every act from now on, or those on one service or by one runbook. Alerts are still accepted, people still paged."""
    settings, store = opened(data)
    if list_:
        _list(data, as_json=as_json)
        return
    scope = _scope(service=service, runbook=runbook)
    _known(store, settings, service=service, runbook=runbook)
    with store.record() as tx:
        kill_switch.pause(tx, by=by, reason=because, scope=scope)
        stands = next(pause for pause in kill_switch.standing(tx) if pause.scope == scope)
    if as_json:
        say_json(_as_json(stands))
        return
    console.print(f"acting is paused: {safe(stands.words)}\n`{safe(stands.resume)}` allows it again")


@resume_app.command()
def resume(
    *,
    by: By,
    service: Service = None,
    runbook: Runbook = None,
    mass: Annotated[bool, typer.Option("--mass", help="What the checks paused: many breaches at once.")] = False,
    because: Annotated[str, typer.Option(help="Why.")] = "no reason was given",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Allow acts again: everywhere, or in one scope."""
    _, store = opened(data)
    scope = _scope(service=service, runbook=runbook, mass=mass)
    with store.record() as tx:
        lifted = kill_switch.resume(tx, by=by, reason=because, scope=scope)
        left = kill_switch.standing(tx)
    if as_json:
        say_json({"lifted": None if lifted is None else _as_json(lifted), "left": [_as_json(pause) for pause in left]})
        return
    if lifted is None:
        console.print("that was not paused")
    elif not left:
        console.print("acting is allowed")
    for pause in left:
        console.print(f"still paused: {safe(pause.words)}; `{safe(pause.resume)}`")


@pauses_app.command()
def list_(data: Data = None, as_json: AsJson = False) -> None:
    """Everything that is paused, by whom, since when, and how to allow it again."""
    _list(data, as_json=as_json)


def _list(data: Data, *, as_json: bool) -> None:
    _, store = opened(data)
    with store.read() as tx:
        found = kill_switch.standing(tx)
    if as_json:
        say_json([_as_json(pause) for pause in found])
        return
    if not found:
        console.print("nothing is paused")
        return
    rows = table("scope", "by", "since", "because", "to allow it again")
    for pause in found:
        rows.add_row(*map(safe, (pause.scope, pause.by, iso(pause.since)[:19], pause.reason, pause.resume)))
    console.print(rows)


def _scope(*, service: str | None, runbook: str | None, mass: bool = False) -> str:
    try:
        return scope_of(service=service, runbook=runbook, mass=mass)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


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


def _as_json(pause: Pause) -> dict[str, Any]:
    return asdict(pause) | {"since": iso(pause.since), "resume": pause.resume}


pause_command = command_of(pause_app)
resume_command = command_of(resume_app)
pauses_command = command_of(pauses_app)
