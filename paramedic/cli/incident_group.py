"""`paramedic incident`: of its commands only the one that is called is loaded."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from paramedic.cli.output import command_of


class _ListApart(TyperGroup):
    """`list`, and the commands of `incident.py`, which load what they show."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every command."""
        return ["list", *_others().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command; None if there is none."""
        if cmd_name == "list":
            return import_module("paramedic.cli.incident_list").list_command
        return _others().get_command(ctx, cmd_name)


def _others() -> Any:
    return import_module("paramedic.cli.incident").incident_command


app = typer.Typer(
    cls=_ListApart,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What is wrong, and whose it is.",
)


@app.callback()
def _options() -> None: ...


incident_command = command_of(app)
