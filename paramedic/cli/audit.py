"""`paramedic audit`: the trail."""

from typing import Annotated

import typer

from paramedic import checkpoints, settings, trail
from paramedic.cli.answer import AsJson, Data, Negative, command_of, console, number_of, opened, safe, say_json, table
from paramedic.store import trail as kept

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="Show and verify the trail.")


@app.command()
def show(
    incident: Annotated[str | None, typer.Option(help="Only of this incident, e.g. INC-1.")] = None,
    after: Annotated[int, typer.Option(help="Only after this entry.", min=0)] = 0,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 200,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Entries in their order."""
    _, store = opened(data)
    number = number_of(incident) if incident else None
    with store.read() as tx:
        entries = list(kept.entries(tx, incident=number, after=after, limit=limit))
    if as_json:
        say_json([{name: getattr(entry, name) for name in trail.Entry.__slots__} for entry in entries])
        return
    rows = table("entry", "at", "actor", "phase", "what", "incident", "reason")
    for entry in entries:
        fields = (entry.seq, entry.at, entry.actor, entry.phase, entry.what, entry.incident or "", entry.reason)
        rows.add_row(*map(safe, fields))
    console.print(rows)
    if len(entries) == limit:
        console.print(f"more: --after {entries[-1].seq}")


@app.command()
def verify(data: Data = None, as_json: AsJson = False) -> None:
    """Walk the whole chain; name every entry that is not as it was written."""
    picked, store = opened(data)
    key = settings.public_key(picked)
    try:
        marks = checkpoints.read(picked.checkpoints())
    except ValueError as error:
        raise Negative(f"the checkpoints cannot be read: {error}") from error
    with store.read() as tx:
        found = trail.verify(kept.entries(tx), lambda seq: kept.content(tx, seq), marks, key, tx.store)
    if as_json:
        say_json(
            {
                "verified": found.verified,
                "entries": found.entries,
                "checkpoints": found.checkpoints,
                "uncovered": found.uncovered,
                "erased": list(found.erased),
                "faults": [{"entry": fault.seq, "what": fault.what} for fault in found.faults],
            }
        )
    else:
        for fault in found.faults:
            console.print(f"entry {fault.seq} {safe(fault.what)}")
        if found.erased:
            console.print(f"content erased beside {len(found.erased)} entries; the chain holds its digest")
        console.print(
            f"{found.checkpoints} signed checkpoints; "
            f"{found.uncovered} entries after the last one could be cut off unseen"
        )
        console.print(f"trail {'verified' if found.verified else 'NOT verified'}: {found.entries} entries")
    if not found.verified:
        raise typer.Exit(1)


audit_command = command_of(app)
