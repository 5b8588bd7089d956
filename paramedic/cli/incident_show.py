"""`paramedic incident show`, apart from the other commands: whoever is paged asks for it first."""

from typing import Annotated

import typer

from paramedic.cli.incident_view import document, oncall_or_none, read, say
from paramedic.cli.one_incident import Id, incident_of
from paramedic.cli.opened import number_of, opened
from paramedic.cli.output import AsJson, Data, say_json

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def show(
    incident: Id,
    *,
    by: Annotated[
        str, typer.Option("--by", help="Who you are: for the commands that are shown.", envvar="USER")
    ] = "YOU",
    with_evidence: Annotated[bool, typer.Option("--evidence", help="With all that was kept of its target.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show one incident: whether anything acts on it now, how to stop that, what is broken, what was done, what to do."""
    settings, store = opened(data)
    number = number_of(incident)
    oncall = oncall_or_none(settings)
    with store.read() as tx:
        seen = read(tx, incident_of(tx, number), oncall=oncall, ui_url=settings.prefect_ui_at())
    if as_json:
        say_json(document(seen))
    else:
        say(seen, by=by, with_evidence=with_evidence)
