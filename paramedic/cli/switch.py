"""`paramedic pause` and `paramedic resume`: the kill switch. It stops acts, never pages."""

from typing import Annotated

import typer

from paramedic.cli.answer import By, Data, command_of, console, opened
from paramedic.store import pauses

pause_app = typer.Typer(add_completion=False, rich_markup_mode=None)
resume_app = typer.Typer(add_completion=False, rich_markup_mode=None)


@pause_app.command()
def pause(
    by: By, because: Annotated[str, typer.Option(help="Why.")] = "no reason was given", data: Data = None
) -> None:
    """Stop every act from now on. Alerts are taken, evidence is gathered, people are told."""
    _, store = opened(data)
    with store.record() as tx:
        pauses.pause(tx, by=by, reason=because)
    console.print("acting is paused; `paramedic resume` allows it again")


@resume_app.command()
def resume(
    by: By, because: Annotated[str, typer.Option(help="Why.")] = "no reason was given", data: Data = None
) -> None:
    """Allow acts again."""
    _, store = opened(data)
    with store.record() as tx:
        pauses.resume(tx, by=by, reason=because)
    console.print("acting is allowed")


pause_command = command_of(pause_app)
resume_command = command_of(resume_app)
