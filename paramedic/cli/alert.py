"""`paramedic alert list` and `refused`: what came in."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from paramedic.cli.one_incident import incident_of
from paramedic.cli.opened import number_of, opened
from paramedic.cli.output import AsJson, Data, Limit, Negative, console, safe, say_json, table
from paramedic.machine.clock import iso
from paramedic.store import held_alerts, inbox, quarantine
from paramedic.text.sanitize import visible

#: Characters of a body that could not be read.
_SHOWN = 1000


class Waiting(StrEnum):
    """The state of an alert in the inbox."""

    NEW = "new"
    HELD = "held"
    TRIAGED = "triaged"


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("list")
def list_(
    *,
    state: Annotated[list[Waiting] | None, typer.Option(help="Only in this state; may be repeated.")] = None,
    incident: Annotated[str | None, typer.Option(help="Only of this incident, e.g. INC-1.")] = None,
    held: Annotated[
        bool, typer.Option("--held", help="Only what is held back or was dropped: by what, until when, and why.")
    ] = False,
    limit: Limit = 50,
    before: Annotated[int | None, typer.Option(help="Page on from this position.", min=0, max=2**63 - 1)] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Received alerts, newest first, each with its decision and the reason."""
    _, store = opened(data)
    number = None if incident is None else number_of(incident)
    with store.read() as tx:
        rows = inbox.listed(tx, states=state or (), incident=number, held_back=held, limit=limit, before=before)
        waits = held_alerts.held(tx) if held else {}
        if number is not None and not rows:
            incident_of(tx, number)
    if as_json:
        say_json(rows)
        return
    if held:
        _say_held(rows, waits)
        return
    shown = table("position", "received", "alert", "status", "state", "verdict", "incident", "reason")
    for row in rows:
        alert = row["alert"]
        incident = f"INC-{row['incident']}" if row["incident"] else ""
        fields = (alert["name"], alert["status"], row["state"], row["verdict"] or "", incident, row["reason"] or "")
        shown.add_row(str(row["position"]), iso(row["received_at"])[:19], *map(safe, fields))
    console.print(shown)
    if len(rows) == limit:
        console.print(f"more: --before {rows[-1]['position']}")


def _say_held(rows: list[dict[str, Any]], waits: Mapping[str, int]) -> None:
    """What is held back: by what, until when, and why; then how many are held now."""
    shown = table("position", "received", "alert", "status", "held by", "until", "incident", "reason")
    for row in rows:
        until = iso(row["look_again_at"])[:19] if row["state"] == Waiting.HELD else "dropped"
        incident = f"INC-{row['incident']}" if row["incident"] else ""
        fields = (row["alert"]["name"], row["alert"]["status"], row["held_by"], until, incident, row["reason"] or "")
        shown.add_row(str(row["position"]), iso(row["received_at"])[:19], *map(safe, fields))
    console.print(shown)
    counted = ", ".join(f"{count} by {why}" for why, count in sorted(waits.items()))
    console.print(f"held now: {counted or 'nothing'}")
    if rows:
        console.print(f"older ones: --before {rows[-1]['position']}")


@app.command()
def refused(
    limit: Limit = 20,
    before: Annotated[str | None, typer.Option(help="Page on from this one.", metavar="ID")] = None,
    *,
    beside: Annotated[
        bool, typer.Option("--beside", help="What senders posted that is no alert: a subscription, a test, a note.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Unreadable bodies, newest first, each with the reason; with --beside, those that are no alerts."""
    _, store = opened(data)
    try:
        with store.read() as tx:
            rows = quarantine.listed(tx, limit=limit, before=before, beside=beside)
    except quarantine.NoSuchBody as error:
        raise Negative(str(error)) from error
    if as_json:
        say_json(rows)
        return
    for row in rows:
        console.print(f"{row['id']}  {iso(row['received_at'])[:19]}  {safe(row['sender'])}: {safe(row['error'])}")
        whole = visible(row["body"])
        console.print(f"  {safe(row['body'][:_SHOWN])}{'' if len(whole) <= _SHOWN else ' … (--json has the rest)'}")
    if not rows:
        console.print("nothing but alerts was posted" if beside else "every body could be read")
    if len(rows) == limit:
        console.print(f"more: --before {rows[-1]['id']}")
