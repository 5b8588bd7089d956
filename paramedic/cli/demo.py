"""`paramedic demo`."""

from pathlib import Path
from typing import Annotated

import typer

from paramedic.cli.output import command_of
from paramedic.demo.run import run

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def demo(
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write what happened, as JSON.")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Keep the run's data there.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything up until Ctrl-C.")] = False,
) -> None:
    """Four stories on a real service: three that are healed, one that needs a person. Ends by itself."""
    raise typer.Exit(run(json_file=json_file, data=data, keep=keep))


demo_command = command_of(app)
