"""`paramedic resume` and `pauses`: what is paused, and the end of it."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from paramedic.cli.lazy_group import loaded
from paramedic.cli.opened import opened
from paramedic.cli.output import AsJson, By, Data, command_of, console, safe, say_json, table, written
from paramedic.machine.clock import iso
from paramedic.remediation.kill_switch import Pause, scope_of, spoken
from paramedic.store import kill_switch

resume_app = typer.Typer(add_completion=False, rich_markup_mode=None)
pauses_app = typer.Typer(add_completion=False, rich_markup_mode=None)

Service = Annotated[str | None, typer.Option(help="Only acts on the targets of this service.", metavar="NAME")]
Runbook = Annotated[str | None, typer.Option(help="Only acts by this runbook.", metavar="NAME")]


@resume_app.command()
def resume(
    *,
    by: By,
    service: Service = None,
    runbook: Runbook = None,
    mass: Annotated[bool, typer.Option("--mass", help="What the checks paused: many breaches at once.")] = False,
    because: Annotated[str, typer.Option(help="Why.", callback=written)] = "no reason was given",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Allow acts again: everywhere, or in one scope. What is not paused is said to be so; a name of nothing is refused."""
    settings, store = opened(data)
    scope = scope_named(service=service, runbook=runbook, mass=mass)
    with store.record() as tx:
        lifted = kill_switch.resume(tx, by=by, reason=because, scope=scope)
        left = kill_switch.standing(tx)
    if lifted is None and (service is not None or runbook is not None):
        paused = ", ".join(spoken(pause.scope) for pause in left) or "nothing"
        so = f"and none of that name is paused; paused now: {paused}"
        # It needs all that authors write, which the end of a pause does not.
        loaded("known_names").check(store, settings, **named(service, runbook), so=so)
    if as_json:
        say_json(
            {"lifted": None if lifted is None else fields_of(lifted), "left": [fields_of(pause) for pause in left]}
        )
        return
    if lifted is None:
        console.print(f"nothing changes: there was no pause of {safe(spoken(scope))}")
    elif not left:
        console.print("acting is allowed")
    for pause in left:
        console.print(f"still paused: {safe(pause.words)}; `{safe(pause.resume)}`")


@pauses_app.command()
def list_(data: Data = None, as_json: AsJson = False) -> None:
    """Everything that is paused, by whom, since when, and how to allow it again."""
    say_standing(data, as_json=as_json)


def say_standing(data: Data, *, as_json: bool) -> None:
    """Print what is paused."""
    _, store = opened(data)
    with store.read() as tx:
        found = kill_switch.standing(tx)
    if as_json:
        say_json([fields_of(pause) for pause in found])
        return
    if not found:
        console.print("nothing is paused")
        return
    rows = table("scope", "by", "since", "because", "to allow it again")
    for pause in found:
        rows.add_row(*map(safe, (pause.scope, pause.by, iso(pause.since)[:19], pause.reason, pause.resume)))
    console.print(rows)


def named(service: str | None, runbook: str | None) -> dict[str, list[str]]:
    """The names that the options have, by their kind."""
    return {"services": [] if service is None else [service], "runbooks": [] if runbook is None else [runbook]}


def scope_named(*, service: str | None, runbook: str | None, mass: bool = False) -> str:
    """The scope of the options. Raises BadParameter."""
    try:
        return scope_of(service=service, runbook=runbook, mass=mass)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def fields_of(pause: Pause) -> dict[str, Any]:
    """The pause as plain values."""
    return asdict(pause) | {"since": iso(pause.since), "resume": pause.resume}


resume_command = command_of(resume_app)
pauses_command = command_of(pauses_app)
