"""The store behind a command, and what commands take to be in it."""

from pathlib import Path

import typer

from paramedic.cli.output import protected_settings
from paramedic.errors import PermanentError
from paramedic.incidents.incident import parse_ref
from paramedic.settings import Settings
from paramedic.store import Store


class NoStore(PermanentError):
    """There is no store in the data folder yet."""


def opened(data: Path | None) -> tuple[Settings, Store]:
    """The settings and their store. Raises StoreUnavailable, StoreUnknown, or NoStore where there is none yet."""
    found = protected_settings(data)
    url = found.store()
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        raise NoStore(
            f"there is no store in {found.data}: `paramedic up` makes one. Is it another folder? Run the command in the one "
            "that `paramedic init` made, or name the data folder with --data"
        )
    return found, Store(url)


def number_of(text: str) -> int:
    """The number of `INC-1` or `1`. Raises BadParameter."""
    try:
        return parse_ref(text)[1]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
