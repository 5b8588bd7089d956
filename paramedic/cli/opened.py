"""The store behind a command, and what commands take to be in it."""

from pathlib import Path

import typer

from paramedic.cli.output import protected_settings
from paramedic.incidents.incident import parse_ref
from paramedic.settings import Settings
from paramedic.store import Store


def opened(data: Path | None) -> tuple[Settings, Store]:
    """The settings and their store. Raises StoreUnavailable, StoreUnknown, or BadParameter where there is none yet."""
    found = protected_settings(data)
    url = found.store()
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        raise typer.BadParameter(f"there is no store in {found.data}; `paramedic up` makes one")
    return found, Store(url)


def number_of(text: str) -> int:
    """The number of `INC-1` or `1`. Raises BadParameter."""
    try:
        return parse_ref(text)[1]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
