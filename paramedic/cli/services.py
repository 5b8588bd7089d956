"""`paramedic services`."""

import typer

from paramedic.catalog.services import schema
from paramedic.cli.output import command_of, say_json

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="What exists.")


@app.callback()
def services() -> None:
    """What exists: services.yaml (docs/targets.md)."""


@app.command("schema")
def schema_() -> None:
    """The JSON Schema of services.yaml, for editors (docs/runbooks.md)."""
    say_json(schema())


services_command = command_of(app)
