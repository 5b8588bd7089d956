"""How commands answer: what every one of them needs, in one place."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from paramedic import settings
from paramedic.error import Refused
from paramedic.settings import Settings
from paramedic.store import Store
from paramedic.visible import one_line

console = Console()


class Negative(Refused):
    """The answer is no; the words say what about."""


Data = Annotated[Path | None, typer.Option("--data", help="The data folder to work on.", metavar="DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
By = Annotated[str, typer.Option("--by", help="Who you are.", envvar="USER", metavar="PERSON")]


def chosen(data: Path | None) -> Settings:
    """The settings, on the data folder that was named. Raises BadSettings."""
    if data is None:
        return settings.load()
    folder = data.resolve()
    if not folder.is_dir():
        raise typer.BadParameter(f"--data {data}: there is no such folder")
    given: dict[str, Any] = {"data": folder}
    if "PARAMEDIC_RUNBOOKS" not in os.environ and (folder / "runbooks").is_dir():
        given["runbooks"] = folder / "runbooks"
    return settings.load(**given)


def opened(data: Path | None) -> tuple[Settings, Store]:
    """The settings and their store. Raises StoreUnavailable, StoreUnknown, or BadParameter where there is none yet."""
    picked = chosen(data)
    url = picked.store()
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        raise typer.BadParameter(f"there is no store in {picked.data}; `paramedic up` makes one")
    return picked, Store(url)


def say_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, indent=2, default=str))


def table(*columns: str) -> Table:
    """A plain table."""
    made = Table(box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def safe(text: object) -> str:
    """Text from outside: no control character and no markup of it works on the terminal (P7)."""
    return escape(one_line(str(text)))


def command_of(app: typer.Typer) -> Any:
    """The command that a Typer application is."""
    return typer.main.get_command(app)
