"""`paramedic prune`: retention by hand."""

import typer

from paramedic.cli.opened import opened
from paramedic.cli.output import AsJson, Data, command_of, console, safe, say_json
from paramedic.stack.running_prefect import with_running_prefect
from paramedic.upkeep import retention

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def prune(data: Data = None, as_json: AsJson = False) -> None:
    """Remove what is older than keep_inbox, keep_evidence and keep_prefect_runs; an open incident's data stays."""
    settings, store = opened(data)
    settings = with_running_prefect(settings)
    pruned = retention.prune(store, settings)
    if as_json:
        say_json({"removed": pruned.removed, "sealable": pruned.sealable, "complaint": pruned.complaint})
    else:
        for name, count in pruned.removed.items():
            console.print(f"{count} of {name.replace('_', ' ')} removed")
        if not pruned.removed:
            console.print("nothing was old enough")
        if settings.prefect_api_url is None:
            console.print(
                "no Prefect is named (prefect_api_url), and none runs here: its run history was left as it is"
            )
        if pruned.sealable:
            console.print(
                f"{pruned.sealable} entries of the trail are older than keep_trail: `paramedic audit seal FILE`"
            )
    if pruned.complaint:
        typer.echo(safe(pruned.complaint), err=True)
        raise typer.Exit(1)


prune_command = command_of(app)
