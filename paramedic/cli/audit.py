"""`paramedic audit`: the trail."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated

import typer

from paramedic import keys
from paramedic.audit import chain, verification
from paramedic.audit.chain import Checkpoint
from paramedic.audit.verification import Fault, Verification
from paramedic.cli.one_incident import incident_of
from paramedic.cli.opened import number_of, opened
from paramedic.cli.output import (
    AsJson,
    By,
    Data,
    Limit,
    Negative,
    command_of,
    console,
    protected_settings,
    safe,
    say_json,
    table,
    written,
)
from paramedic.machine.clock import utc_now
from paramedic.settings import Settings
from paramedic.store import Store, incidents, seals
from paramedic.store import trail as stored_trail
from paramedic.upkeep import checkpoints, segment

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="Show, verify, export and seal the trail."
)


@app.command()
def show(
    incident: Annotated[str | None, typer.Option(help="Only of this incident, e.g. INC-1.")] = None,
    after: Annotated[int, typer.Option(help="Only after this entry.", min=0, max=2**63 - 1)] = 0,
    limit: Limit = 200,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Entries in their order."""
    _, store = opened(data)
    number = number_of(incident) if incident else None
    with store.read() as tx:
        entries = list(stored_trail.entries(tx, incident=number, after=after, limit=limit))
        if number is not None and not entries:
            incident_of(tx, number)
        sealed = seals.newest(tx)
    if as_json:
        say_json([{name: getattr(entry, name) for name in chain.Entry.__slots__} for entry in entries])
        return
    rows = table("entry", "at", "actor", "phase", "what", "incident", "reason")
    for entry in entries:
        fields = (entry.seq, entry.at, entry.actor, entry.phase, entry.what, entry.incident or "", entry.reason)
        rows.add_row(*map(safe, fields))
    console.print(rows)
    if sealed is not None and after < sealed.seq:
        console.print(f"entries 1 to {sealed.seq} left for sealed segments")
    if len(entries) == limit:
        console.print(f"more: --after {entries[-1].seq}")


@app.command()
def verify(data: Data = None, as_json: AsJson = False) -> None:
    """Verify the whole chain; name every entry that is not as it was written."""
    settings, store = opened(data)
    found = _looked(settings, store)
    _judge(found, _verdict(found), as_json=as_json)


@app.command()
def vouch(
    by: By,
    *,
    because: Annotated[
        str, typer.Option(help="How you know that nobody forged it; it goes on the trail.", callback=written)
    ],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Sign the trail as it is now, on your responsibility: after a restore without the key, or lost checkpoints.

    Faults that no signature fixes stay faults. Acts that the watchdog paused wait for `paramedic resume`.
    """
    settings, store = opened(data)
    with store.record() as tx:
        stored_trail.append(tx, actor=f"person:{by}", phase="decision", what="trail.vouched", reason=because)
    try:
        checkpoints.sign(store, settings, vouched=True)
    except (OSError, ValueError) as error:
        raise Negative(f"nothing was signed: {error}") from error
    found = _looked(settings, store)
    _judge(found, [f"signed up to entry {found.reached}, on the word of {safe(by)}"], as_json=as_json)


def _judge(found: Verification, summary: Iterable[str], *, as_json: bool) -> None:
    """Say what was found: for people every fault, then the summary. Ends with 1 unless the trail verifies."""
    if as_json:
        _say_found(found)
    else:
        for fault in found.faults:
            console.print(f"entry {fault.seq} {safe(fault.what)}")
        for line in summary:
            console.print(line)
    if not found.verified:
        raise typer.Exit(1)


def _verdict(found: Verification) -> Iterator[str]:
    if found.erased:
        yield f"content erased beside {len(found.erased)} entries; the chain holds its digest"
    if found.sealed:
        yield f"entries 1 to {found.sealed} left for sealed segments; docs/trail.md verifies each of them"
    for seq, generation in found.restores:
        yield f"entry {seq} is a restore from a backup: generation {generation} begins with it"
    if found.left_behind:
        yield f"{found.left_behind} checkpoints saw a life that a restore left behind; it is not in this trail"
    yield (
        f"{found.checkpoints} signed checkpoints; {found.uncovered} entries after the last one could be cut off unseen"
    )
    yield f"trail {'verified' if found.verified else 'NOT verified'}: {found.entries} entries"


def _say_found(found: Verification) -> None:
    say_json(
        {
            "verified": found.verified,
            "entries": found.entries,
            "checkpoints": found.checkpoints,
            "uncovered": found.uncovered,
            "erased": list(found.erased),
            "restores": [{"entry": seq, "generation": generation} for seq, generation in found.restores],
            "left_behind": found.left_behind,
            "sealed": found.sealed,
            "faults": [{"entry": fault.seq, "what": fault.what} for fault in found.faults],
        }
    )


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Where to; it must not exist. `-` is standard output.", metavar="FILE")],
    contents: Annotated[bool, typer.Option(help="With labels, output and notes, which can be erased.")] = True,
    data: Data = None,
) -> None:
    """The trail as JSON Lines: header, every entry, every signed checkpoint; docs/trail.md shows how to verify it."""
    settings, store = opened(data)
    marks = _checkpoints(settings)
    with store.read() as tx:
        lines = segment.exported(tx, marks, contents=contents)
        if str(file) == "-":
            for line in lines:
                typer.echo(line, nl=False)
            return
        try:
            file.touch(mode=0o600, exist_ok=False)  # what came in with an alert is nobody else's to read
            with file.open("w", encoding="ascii") as out:
                out.writelines(lines)
        except FileExistsError as error:
            raise typer.BadParameter(f"{file} exists already; nothing was written") from error
        except OSError as error:
            raise Negative(f"{file} could not be written whole: {error.strerror}") from error


@app.command()
def seal(
    file: Annotated[Path, typer.Argument(help="Where the segment goes.", metavar="FILE")],
    before: Annotated[
        str | None,
        typer.Option(help="Entries before this day leave (UTC); keep_trail ago unless named.", metavar="DATE"),
    ] = None,
    contents: Annotated[bool, typer.Option(help="With labels, output and notes, which can be erased.")] = True,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Move old entries from the trail to a signed segment, in the format of `export`. The chain continues from it.

    It is written and verified, and only then the entries are removed: the file is the only copy of them, so keep
    it. After an interruption, run it again with the same FILE.
    """
    settings, _ = opened(data)
    store = Store(settings.owner())
    key = keys.signing_key(settings)
    try:
        until = utc_now() - settings.keep_trail if before is None else _day(before)
        checkpoints.sign(store, settings)  # what cannot be shown to be ours is not sealed either
        sealed = segment.seal(store, key, file, before=until, contents=contents)
        with store.read() as tx:
            more = seals.removable(tx, until, segment.MOST)
        checkpoints.sign(store, settings)
    except OSError as error:
        raise Negative(f"{file} could not be written whole, and nothing was removed: {error.strerror}") from error
    finally:
        store.close()
    if as_json:
        say_json({"sealed": asdict(sealed) if sealed else None, "more": max(0, more.last - more.first + 1)})
    elif sealed is None:
        console.print(f"nothing leaves: entry {more.last + 1} stays, for {more.kept_by}")
    else:
        console.print(
            f"entries {sealed.first} to {sealed.seq} left for {safe(file)}, which is the only place that has them"
        )
        console.print(
            f"the next one stays, for {more.kept_by}" if more.last < more.first else "more may leave: seal again"
        )


def _day(text: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError as error:
        raise typer.BadParameter(f"--before {text!r:.80}: write a day, as 2026-01-31") from error


@app.command()
def key(data: Data = None, as_json: AsJson = False) -> None:
    """The public key (PEM) that checkpoints are verified with. Keep it where nobody who could edit the store writes."""
    pem = keys.pem(keys.public_key(protected_settings(data))).decode()
    if as_json:
        say_json({"public_key": pem})
        return
    typer.echo(pem, nl=False)


def _looked(settings: Settings, store: Store) -> Verification:
    """The verification of the whole trail, with every known checkpoint and seal."""
    if keys.signing_key_file(settings).exists():
        keys.signing_key(settings)  # raises where the public key is not its half: it was exchanged
    marks, faults = _checkpoints(settings), []
    witness = _witness(settings)
    if witness is not None and witness not in marks:
        marks.append(witness)
        faults.append(
            Fault(witness.seq, f"was seen by a signed checkpoint that {settings.checkpoints()} no longer holds")
        )
    with store.read() as tx:
        found = verification.verify(
            stored_trail.entries(tx),
            lambda seq: stored_trail.content(tx, seq),
            marks,
            keys.public_key(settings),
            tx.store,
            seal=seals.newest(tx),
            needs_checkpoint=True,
        )
        if not found.entries and not found.sealed and incidents.listed(tx, limit=1):
            faults.append(Fault(1, "is missing: the store has incidents, and the trail tells of none"))
    return replace(found, faults=(*faults, *found.faults))


def _witness(settings: Settings) -> Checkpoint | None:
    try:
        return checkpoints.newest(keys.signing_witness(settings))
    except (ValueError, OSError) as error:
        raise Negative(f"the newest checkpoint, kept beside the key, cannot be read: {error}") from error


def _checkpoints(settings: Settings) -> list[Checkpoint]:
    try:
        return checkpoints.read(settings.checkpoints())
    except ValueError as error:
        raise Negative(f"the checkpoints cannot be read: {error}") from error


audit_command = command_of(app)
