"""`paramedic incident report`."""

import typer

from paramedic.cli.one_incident import Id, incident_of
from paramedic.cli.opened import number_of, opened
from paramedic.cli.output import AsJson, Data, console, say_json
from paramedic.incidents.report import as_json as as_json_of
from paramedic.incidents.report import markdown
from paramedic.store.incident_story import story

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def report(incident: Id, data: Data = None, as_json: AsJson = False) -> None:
    """The incident's report in Markdown: what was wrong, what was done and why it was allowed, who was told, what is open."""
    _, store = opened(data)
    number = number_of(incident)
    with store.read() as tx:
        incident_of(tx, number)
        whole = story(tx, number)
    if as_json:
        say_json(as_json_of(whole))
    else:
        text = markdown(whole)
        if console.is_terminal:
            from rich.markdown import Markdown  # a tenth of a second to import, and only a report on a terminal pays

            console.print(Markdown(text))
        else:
            typer.echo(text, nl=False)
