"""`paramedic incident`: people's decisions about incidents."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from paramedic.cli.aftermath import what_follows
from paramedic.cli.one_incident import Id, fields_of, incident_of
from paramedic.cli.opened import number_of, opened
from paramedic.cli.output import AsJson, By, Data, Negative, console, safe, say_json, written
from paramedic.incidents.incident import IllegalMove, Incident
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.store import (
    approvals,
    incident_alerts,
    incidents,
    lifecycle,
)

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def ack(incident: Id, by: By, data: Data = None, as_json: AsJson = False) -> None:
    """Acknowledge: the incident is yours; pages stop, and so does every further change. Whoever had it before is told."""
    _, store = opened(data)
    number = number_of(incident)
    with store.record() as tx:
        before = incident_of(tx, number).taken_from(by)
        found = _moved(lambda: lifecycle.acknowledge(tx, number, by=by, reason="on the command line"))
    if as_json:
        say_json(fields_of(found) | {"taken_over_from": before})
        return
    console.print(f"{found.id} is yours, {safe(by)}")
    if before is not None:
        console.print(f"{safe(before)} had it before, and is told that you have it now")


@app.command()
def approve(
    incident: Id,
    by: By,
    deny: Annotated[bool, typer.Option("--deny", help="It must not be done.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Approve the change that the incident asks for; with --deny, deny it."""
    _, store = opened(data)
    number = number_of(incident)
    with store.record() as tx:
        found = incident_of(tx, number)
        asked = approvals.newest(tx, number)
        if asked is None:
            raise Negative(f"{found.id} asks for no approval; it is {found.state.value.replace('_', ' ')}")
        done = approvals.decide(tx, asked.id, granted=not deny, by=by, how="command line")
    if isinstance(done, str):
        raise Negative(done)
    if as_json:
        say_json(asdict(done))
        return
    console.print(safe(done.decision))


@app.command()
def resolve(
    incident: Id,
    by: By,
    because: Annotated[str, typer.Option(help="What you know.", callback=written)] = "a person says it is over",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Resolve: the incident is over. This also settles an act whose outcome was open, and frees its target.

    Where its alerts still fire, this says what follows.
    """
    _, store = opened(data)
    number = number_of(incident)
    with store.record() as tx:
        found = incident_of(tx, number)
        ending = found.ending or Ending.HANDED_OVER
        found = _moved(lambda: lifecycle.resolve(tx, number, Outcome(ending, because), actor=f"person:{by}"))
        since = found.reopened_at or found.opened_at
        follows = what_follows(incident_alerts.of(tx, number), since=since, now=tx.now)
    if as_json:
        say_json(fields_of(found) | {"follows": follows})
        return
    console.print(f"{found.id} is over")
    for sentence in follows:
        console.print(safe(sentence))


@app.command()
def note(
    incident: Id,
    text: Annotated[str, typer.Argument(help="The note.", callback=written)],
    by: By,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Add a note to the incident's timeline."""
    _, store = opened(data)
    number = number_of(incident)
    with store.record() as tx:
        found = incident_of(tx, number)
        incidents.note(tx, number, by=by, text=text)
    if as_json:
        say_json(fields_of(found))
        return
    console.print("noted")


def _moved(move: Any) -> Incident:
    try:
        moved: Incident = move()
    except IllegalMove as error:
        raise Negative(str(error)) from error
    return moved
