"""`paramedic playbook`."""

from dataclasses import asdict
from typing import Annotated

import typer

from paramedic.cli import playbook_child
from paramedic.cli.output import AsJson, Data, command_of, protected_settings, say_json
from paramedic.text.sanitize import visible

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="Playbooks of your own (PARAMEDIC_FLOWS)."
)


@app.command()
def lint(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]…", help="Only these, e.g. our-restart.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Import the playbooks as the responder would, and say every problem with its place and what is allowed.

    A file that other users can change is not imported. Exit code 1 where something is wrong.
    """
    settings = protected_settings(data)
    checked = [playbook_child.file_of(settings, name) for name in names or ()] or playbook_child.files(settings)
    problems = playbook_child.problems(settings, checked)
    if as_json:
        say_json([asdict(problem) for problem in problems])
    else:
        typer.echo(
            "\n".join(visible(str(problem)) for problem in problems) or f"{len(checked)} playbooks: nothing wrong"
        )
    if problems:
        raise typer.Exit(1)


playbook_command = command_of(app)
