"""`paramedic backup`, `restore` and `upgrade`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from paramedic.cli.opened import opened
from paramedic.cli.output import AsJson, By, Data, command_of, console, protected_settings, safe, say_json
from paramedic.errors import PermanentError
from paramedic.incidents.incident import name
from paramedic.machine import data_folder
from paramedic.machine.clock import utc_now
from paramedic.stack import instance
from paramedic.upkeep import backup as keeping
from paramedic.upkeep import restore as restoring

backup_app = typer.Typer(add_completion=False, rich_markup_mode=None)
upgrade_app = typer.Typer(add_completion=False, rich_markup_mode=None)
restore_app = typer.Typer(add_completion=False, rich_markup_mode=None)


@backup_app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where to; it must not exist.", metavar="FILE")],
    with_keys: Annotated[
        bool, typer.Option("--with-keys", help="With the private keys. Who has the file can then sign as Paramedic.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Back up the store, its checkpoints and the public key to one file, while everything runs."""
    settings, _ = opened(data)
    try:
        manifest = keeping.back_up(settings, file, private_keys=with_keys)
    except OSError as error:
        raise PermanentError(
            f"{file} could not be written: {error.strerror or error}; nothing was left there"
        ) from error
    if as_json:
        say_json(asdict(manifest))
        return
    console.print(f"{safe(file)}: store {manifest.store}, generation {manifest.generation}, {manifest.entries} entries")
    if not with_keys:
        console.print("the private keys are not in it: keep signing.key and link.key elsewhere, or say --with-keys")


@restore_app.command()
def restore(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="What `paramedic backup` wrote.", metavar="FILE")
    ],
    by: By,
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="The store that is there now has something in it, and is given up.")
    ] = False,
    despite_faults: Annotated[
        bool, typer.Option("--despite-faults", help="Restore a trail that does not verify.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Restore the store from a backup. Nothing acts until `paramedic resume`; a person is paged about all that was open."""
    settings = protected_settings(data, may_be_new=True)
    try:
        data_folder.prepare(settings.data)
        with instance.alone(settings.data):
            made = restoring.restore(settings, file, by=by, replace=replace, despite_faults=despite_faults)
    except OSError as error:
        raise PermanentError(f"what is kept in {settings.data} cannot be used: {error}") from error
    if as_json:
        say_json(
            {
                "store": made.manifest.store,
                "generation": made.generation,
                "taken_at": made.manifest.taken_at,
                "handed_over": [name(number) for number in made.handed_over],
                "verified": made.found.verified,
                "faults": [{"entry": fault.seq, "what": fault.what} for fault in made.found.faults],
                "signing_key": made.can_sign,
            }
        )
        return
    console.print(f"store {made.manifest.store} is what it was at {made.manifest.taken_at}")
    for fault in made.found.faults:
        console.print(f"entry {fault.seq} {safe(fault.what)}")
    console.print(f"it is generation {made.generation} now; {len(made.handed_over)} incidents were handed over")
    if not made.can_sign:
        console.print("the signing key is not here: put it back before `paramedic up`, which signs with no other")
        console.print("and say `paramedic audit vouch`: until it is signed, `audit verify` calls it a fault")
    console.print("acting is paused; look at what is open, then `paramedic resume`")


@upgrade_app.command()
def upgrade(
    backup: Annotated[
        Path | None,
        typer.Option(help="Where the backup of before goes; in the data folder unless named.", metavar="FILE"),
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Migrate the store to this version's schema, after a backup. Processes of the previous version may keep running."""
    settings, _ = opened(data)
    file = backup or settings.data / f"before-upgrade-{utc_now():%Y%m%dT%H%M%SZ}.backup"
    try:
        before, after = keeping.upgrade(settings, file)
    except OSError as error:
        raise PermanentError(
            f"{file} could not be written, and nothing was changed: {error.strerror or error}"
        ) from error
    if as_json:
        say_json({"from": before, "to": after, "backup": None if before in (None, after) else str(file)})
        return
    if before is None:
        console.print(f"the store was empty; it has its tables now, at revision {after}")
        return
    if before == after:
        console.print(f"the store is at revision {after}: there is nothing to do")
        return
    console.print(f"from revision {before} to {after}; what it was before is in {safe(file)}")


backup_command = command_of(backup_app)
restore_command = command_of(restore_app)
upgrade_command = command_of(upgrade_app)
