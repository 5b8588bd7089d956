"""`paramedic demo`."""

from pathlib import Path
from typing import Annotated

import typer

from paramedic.cli.output import command_of
from paramedic.demo.more import wanted
from paramedic.demo.run import run

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def demo(
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write what happened, as JSON.")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Keep the run's data there.")] = None,
    more: Annotated[
        str,
        typer.Option(
            "--with",
            metavar="STORIES",
            help="More stories, where this machine has what they need: ssh,containers,kubernetes.",
        ),
    ] = "",
    context: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="With kubernetes: play it in the cluster of this context of your kubeconfig, in a namespace that is deleted "
            "after it. Without, on a control plane of the demo's own.",
        ),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything up until Ctrl-C.")] = False,
) -> None:
    """Four stories on a real service: three that are healed, one that needs a person. Ends by itself."""
    try:
        stories = wanted(more, context)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--with") from error
    raise typer.Exit(run(json_file=json_file, data=data, keep=keep, more=stories))


demo_command = command_of(app)
