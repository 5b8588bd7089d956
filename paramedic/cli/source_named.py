"""The kind of sender that a command names, as an option and as a module."""

from typing import Annotated, cast

import typer

from paramedic.errors import PermanentError
from paramedic.kinds import faces, registry
from paramedic.kinds.registry import Room

Source = Annotated[
    str, typer.Option(help="The kind of sender, as in the gateway's address /alerts/NAME.", metavar="NAME")
]


def source_named(name: str) -> faces.Source:
    """The kind of sender, once the settings are loaded. Raises BadParameter."""
    try:
        return cast("faces.Source", registry.current().plugin(Room.SOURCES, name))
    except PermanentError as error:
        raise typer.BadParameter(str(error)) from error
