"""`paramedic incident retry`, apart from the other decisions: what it foresees needs the catalog and the guardrails."""

from dataclasses import asdict
from typing import Annotated

import typer

from paramedic.change.foresight import foreseen, ladder
from paramedic.cli.one_incident import Id, fields_of, incident_of
from paramedic.cli.opened import number_of, opened
from paramedic.cli.output import AsJson, By, Data, Negative, console, safe, say_json, written
from paramedic.incidents.incident import IllegalMove
from paramedic.store import retrying

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def retry(
    incident: Id,
    by: By,
    *,
    because: Annotated[
        str, typer.Option(help="What has changed, or why.", callback=written)
    ] = "a person wants it tried again",
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Also where another person has it, who is told.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Have Paramedic try again: a new attempt with every remedy of its runbook, under every guardrail. Pages stop meanwhile.

    Says which guardrail would refuse it as things are now.
    """
    settings, store = opened(data)
    number = number_of(incident)
    with store.read() as tx:
        asked = incident_of(tx, number)
    rungs = ladder(store, settings, asked)
    with store.record() as tx:
        before = incident_of(tx, number)
        try:
            found = retrying.retry(tx, number, by=by, because=because, take_over=take_over)
        except IllegalMove as error:
            raise Negative(str(error)) from error
        stops = foreseen(tx, found, rungs)
    holder = before.taken_from(by)
    if as_json:
        say_json(
            fields_of(found)
            | {"taken_over_from": holder, "foreseen": [asdict(one) | {"words": one.words} for one in stops]}
        )
        return
    console.print(f"{found.id} is Paramedic's again: attempt {found.attempt} begins, as far as every guardrail agrees")
    if holder is not None:
        console.print(f"{safe(holder)} had it before, and is told")
    for one in stops:
        console.print(safe(one.words))
    console.print(f"to see what comes of it: paramedic incident show {found.id}")
