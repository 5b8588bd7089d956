"""`paramedic audit`: the trail."""

from typing import Annotated

import typer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from paramedic import checkpoints, trail
from paramedic.cli.answer import AsJson, Data, Negative, command_of, console, opened, safe, say_json, table
from paramedic.error import Useless
from paramedic.incident import parse_ref
from paramedic.settings import Settings
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
    number = _number(incident)
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
    try:
        marks = checkpoints.read(picked.checkpoints())
    except ValueError as error:
        raise Negative(f"the checkpoints cannot be read: {error}") from error
    with store.read() as tx:
        found = trail.verify(kept.entries(tx), lambda seq: kept.content(tx, seq), marks, _public_key(picked), tx.store)
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
            f"{found.checkpoints} signed checkpoints; {found.uncovered} entries after the last one could be cut off unseen"
        )
        console.print(f"trail {'verified' if found.verified else 'NOT verified'}: {found.entries} entries")
    if not found.verified:
        raise typer.Exit(1)


def _public_key(picked: Settings) -> Ed25519PublicKey:
    path = (picked.signing_key_file or picked.data / "signing.key").with_suffix(".pub")
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Useless(f"the public key {path} cannot be read: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise Useless(f"{path} is no Ed25519 public key")
    return key


def _number(incident: str | None) -> int | None:
    if incident is None:
        return None
    try:
        return parse_ref(incident)[1]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


audit_command = command_of(app)
