"""`paramedic runbook`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from paramedic import library
from paramedic.cli.answer import AsJson, Data, Negative, chosen, command_of, console, safe, say_json, table
from paramedic.document import BadDocument
from paramedic.library import Library
from paramedic.visible import visible

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="What authors write.")

Folder = Annotated[Path | None, typer.Option("--folder", help="Another folder of runbooks.", metavar="DIR")]


@app.command("list")
def list_(folder: Folder = None, data: Data = None, as_json: AsJson = False) -> None:
    """Every runbook that can be used, and how many cannot."""
    shelf = _shelf(folder, data)
    if as_json:
        say_json(
            [
                {
                    "name": one.name,
                    "service": one.service,
                    "mode": one.mode,
                    "playbook": one.playbook,
                    "version": one.version,
                }
                for one in shelf.runbooks.values()
            ]
        )
        return
    rows = table("runbook", "service", "mode", "playbook", "version")
    for one in shelf.runbooks.values():
        rows.add_row(*map(safe, (one.name, one.service, one.mode, one.playbook, one.version[:12])))
    console.print(rows)
    if shelf.problems:
        console.print(f"{len(shelf.problems)} problems: `paramedic runbook lint`")


@app.command()
def show(name: str, folder: Folder = None, data: Data = None) -> None:
    """One runbook, as it is written."""
    shelf = _shelf(folder, data)
    if name not in shelf.runbooks:
        raise Negative(f"there is no usable runbook {name!r}; there are {', '.join(shelf.runbooks) or 'none'}")
    typer.echo(visible(shelf.runbooks[name].text))


@app.command()
def lint(folder: Folder = None, data: Data = None, as_json: AsJson = False) -> None:
    """Every problem with its file, line and column, and what is allowed there."""
    picked = _folder(folder, data)
    try:
        shelf = library.load(picked, chosen(data).flows)
    except BadDocument as error:
        problems, words = error.problems, ""
    else:
        problems = shelf.problems
        words = f"{len(shelf.runbooks)} runbooks, {len(list(shelf.services))} targets: nothing wrong"
    if as_json:
        say_json([asdict(problem) for problem in problems])
    else:
        typer.echo("\n".join(visible(str(problem)) for problem in problems) or words)
    if problems:
        raise typer.Exit(1)


def _shelf(folder: Path | None, data: Path | None) -> Library:
    return library.load(_folder(folder, data), chosen(data).flows)


def _folder(folder: Path | None, data: Path | None) -> Path:
    return folder if folder is not None else chosen(data).runbooks


runbook_command = command_of(app)
