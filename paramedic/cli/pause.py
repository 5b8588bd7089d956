"""`paramedic pause`: the kill switch. It stops acts, never pages."""

from typing import Annotated

import typer

from paramedic.cli import known_names
from paramedic.cli.opened import opened
from paramedic.cli.output import AsJson, By, Data, command_of, console, safe, say_json, written
from paramedic.cli.resume import Runbook, Service, fields_of, named, say_standing, scope_named
from paramedic.remediation.kill_switch import ALL
from paramedic.store import kill_switch

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
        if service is not None or runbook is not None:
            raise typer.BadParameter("--list shows everything that is paused: leave out --service and --runbook")
        say_standing(data, as_json=as_json)
        return
    scope = scope_named(service=service, runbook=runbook)
    if scope != ALL:  # the pause of a misspelt name would stop nothing
        known_names.check(store, settings, **named(service, runbook), so="so that nothing is paused")
    with store.record() as tx:
        kill_switch.pause(tx, by=by, reason=because, scope=scope)
        stands = next(pause for pause in kill_switch.standing(tx) if pause.scope == scope)
    if as_json:
        say_json(fields_of(stands))
        return
    console.print(f"acting is paused: {safe(stands.words)}\n`{safe(stands.resume)}` allows it again")


pause_command = command_of(pause_app)
