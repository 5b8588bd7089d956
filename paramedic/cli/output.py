"""Output and shared options of the commands."""

import json
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from paramedic.errors import Refused
from paramedic.machine import data_folder
from paramedic.machine.data_folder import BadDataFolder
from paramedic.settings import Settings, load_settings
from paramedic.stack import instance
from paramedic.text.sanitize import one_line


class Terminal(Console):
    """A console on which a table that is too wide for the terminal is a paragraph a row: cells of a few letters are not read."""

    def print(self, *objects: Any, **how: Any) -> None:
        """As rich's own."""
        for thing in objects:
            if isinstance(thing, Table) and self.is_terminal and self._wide(thing):
                for row in zip(*(list(column.cells) for column in thing.columns), strict=True):
                    super().print(_paragraph([str(column.header) for column in thing.columns], row, self.width))
            else:
                super().print(thing, **how)

    def _wide(self, table: Table) -> bool:
        return self.measure(table, options=self.options.update_width(_ANY_WIDTH)).maximum > self.width


#: Characters; more than any table has.
_ANY_WIDTH = 100_000


def _paragraph(names: list[str], cells: Sequence[Any], width: int) -> str:
    """The first cell, and the others by name, indented under each other; all of them escaped already."""
    named = [f"{name} {cell}" for name, cell in zip(names[1:], cells[1:], strict=True) if str(cell)]
    head = f"{cells[0]}  "
    lines = textwrap.wrap(" · ".join(named), max(width - len(head), 20), break_on_hyphens=False)
    return head + f"\n{' ' * len(head)}".join(lines)


#: Words are printed as they are: no emoji codes, no colours guessed; a program that reads us gets whole lines.
console = Terminal(emoji=False, highlight=False, width=None if sys.stdout.isatty() else 400)


#: What to do where the folder of runbooks is not there.
NO_FOLDER = "`paramedic init FOLDER` makes one of your own; commands that are run in it find it"


class Negative(Refused):
    """A negative answer (exit code 1), with its reason."""


Data = Annotated[Path | None, typer.Option("--data", help="The data folder to work on.", metavar="DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
Limit = Annotated[int, typer.Option(help="The maximum number.", min=1, max=100_000)]


def person_named(by: str) -> str:
    """Who acts, for the trail. Raises BadParameter for what names nobody."""
    if not by.strip() or len(by) > _LONGEST_NAME or not by.isprintable():
        raise typer.BadParameter(f"{by!r:.80} names nobody; write 1 to {_LONGEST_NAME} characters, e.g. ada")
    return by


def written(words: str) -> str:
    """What a person writes for the trail. Raises BadParameter for nothing at all."""
    if not words.strip():
        raise typer.BadParameter("nothing is written; write some words, they go on the trail")
    return words


#: Characters.
_LONGEST_NAME = 200

By = Annotated[str, typer.Option("--by", help="Who you are.", envvar="USER", metavar="PERSON", callback=person_named)]


def protected_settings(data: Path | None, *, may_be_new: bool = False) -> Settings:
    """As `settings_of`, for commands that use the data folder: checks that no other user can change it.

    Raises BadDataFolder too.
    """
    found = settings_of(data, may_be_new=may_be_new)
    if data_folder.is_one(found.data):  # in another there is nothing of ours yet
        try:
            data_folder.protect(found.data)
        except OSError as error:
            raise BadDataFolder(f"{found.data} cannot be used: {error}") from error
    return found


def settings_of(data: Path | None, *, may_be_new: bool = False) -> Settings:
    """The settings for the named data folder. Raises BadSettings, or BadParameter if there is no such folder.

    What is not set here is as the running `paramedic up` of the folder has it: its terminal's variables are not ours.
    A folder with its own runbooks, as the demo's, is used with them, unless a setting names others.
    """
    if data is not None and not data.is_dir() and not may_be_new:
        raise typer.BadParameter(f"--data {data}: there is no such folder")
    given: dict[str, Any] = {} if data is None else {"data": data}
    found = load_settings(**given)
    if running := instance.settings(found.data):
        found = load_settings(running=running, **given)
    if data is not None and "runbooks" not in found.model_fields_set and (found.data / "runbooks").is_dir():
        return load_settings(running=running, **given, runbooks=found.data / "runbooks")
    return found


def say_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, indent=2, default=str))


def table(*columns: str) -> Table:
    """A plain table."""
    made = Table(box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def hanging(head: str, words: str) -> str:
    """The words after the head; on a terminal, lines that are too long for it are wrapped and indented under the words."""
    if not sys.stdout.isatty():
        return head + words
    lines = textwrap.wrap(words, max(console.width - len(head), 20), break_on_hyphens=False) or [""]
    return head + f"\n{' ' * len(head)}".join(lines)


def safe(text: object) -> str:
    """Text from outside, with control characters and markup escaped for the terminal (P7)."""
    return escape(one_line(str(text)))


def command_of(app: typer.Typer) -> Any:
    """The command that a Typer application is."""
    return typer.main.get_command(app)
