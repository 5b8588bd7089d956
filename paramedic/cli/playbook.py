"""`paramedic playbook`."""

import keyword
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from paramedic.catalog import deployments
from paramedic.catalog.library import open_library
from paramedic.catalog.rehearsal_world import COMMON, ChangeResult, PersonsAnswer, World, world_of, world_with
from paramedic.cli import playbook_child, playbook_template
from paramedic.cli.output import AsJson, Data, Negative, command_of, console, protected_settings, safe, say_json
from paramedic.remediation.health import Sight
from paramedic.text.sanitize import visible

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="Playbooks of your own (PARAMEDIC_FLOWS)."
)


Folder = Annotated[
    Path | None,
    typer.Option("--folder", exists=True, file_okay=False, help="Another folder of runbooks.", metavar="DIR"),
]


def _words(values: Iterable[str]) -> str:
    return ", ".join(values)


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
    playbook_child.must_be_there(settings)
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


@app.command()
def rehearse(  # noqa: PLR0917 - one parameter an option
    name: Annotated[str, typer.Argument(help="A playbook of your own, e.g. our-restart.")],
    runbook: Annotated[str, typer.Option(help="The runbook that it is tried with.")],
    seen: Annotated[str | None, typer.Option(help=f"What the target shows, look after look: {_words(Sight)}.")] = None,
    changes: Annotated[
        str | None, typer.Option(help=f"What the changes come to, one after the other: {_words(ChangeResult)}.")
    ] = None,
    approval: Annotated[PersonsAnswer | None, typer.Option(help="What a person answers who is asked.")] = None,
    world: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A fake world in YAML (docs/runbooks.md).")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Another target of the runbook's than the first.")] = None,
    folder: Folder = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Play the playbook against a fake world: each verb's answer, what came of it, and every change, of which none is made.

    Without a world it is played in each of those that a playbook meets. The store is a temporary one; neither Prefect nor
    production is asked. A runbook that observes is taken as one that acts. Exit code 1 where the playbook has a fault.
    """
    settings = protected_settings(data)
    path = playbook_child.file_of(settings, name)
    problems, _ = playbook_child.by_text(path.parent, [path])  # what importing it shows, the rehearsal says
    if problems:
        raise Negative("\n".join(map(str, problems)))
    where = folder if folder is not None else settings.runbooks
    known = open_library(settings, where).runbooks
    if runbook not in known:
        raise Negative(f"there is no usable runbook {runbook!r}; there are {', '.join(known) or 'none'}")
    options = {"seen": _split(seen), "changes": _split(changes), "approval": approval}
    request = {
        "playbook": str(path),
        "runbook": runbook,
        "folder": str(where.absolute()),
        "target": target,
        "worlds": [world.model_dump(mode="json", exclude_unset=True) for world in _worlds(world, options)],
    }
    answer = playbook_child.ask(settings, "tasks.rehearsal", request=request)
    if "refused" in answer:
        raise Negative(answer["refused"])
    played = answer["played"]
    if as_json:
        say_json(played)
    else:
        for play in played:
            _show(play)
    if any(play["fault"] for play in played):
        raise typer.Exit(1)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Small letters, digits and -, e.g. our-restart.")],
    runbook: Annotated[str | None, typer.Option(help="The runbook that its test tries it with.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Write a playbook that works as it is, with comments, and its test, in the folder that PARAMEDIC_FLOWS names."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,99}", name):
        raise typer.BadParameter(f"{name!r}: a playbook's name is small letters, digits and -, a letter first")
    settings = protected_settings(data)
    playbook_child.files(settings)  # whether a folder is named
    function = name.replace("-", "_")
    if keyword.iskeyword(function) or name in deployments.playbooks(None):
        raise Negative(f"{name} is Python's own word, or a playbook that Paramedic ships: take another name")
    known = list(open_library(settings).runbooks)
    if runbook is not None and runbook not in known:
        raise Negative(f"there is no usable runbook {runbook!r}; there are {', '.join(known) or 'none'}")
    folder = settings.flows or Path()
    file, test = folder / f"{function}.py", folder / "tests" / f"test_{function}.py"
    words = {
        "name": name,
        "function": function,
        "title": name.replace("-", " ").capitalize(),
        "runbook": runbook or next(iter(known), "RUNBOOK"),
        "file": str(test),
    }
    _write(file, playbook_template.PLAYBOOK.format(**words))
    _write(test, playbook_template.TEST.format(**words))
    if as_json:
        say_json({"name": name, "file": str(file), "test": str(test)})
        return
    for path in (file, test):
        typer.echo(visible(str(path)))
    typer.echo(
        f"Then: `paramedic playbook lint {name}`, `paramedic playbook rehearse {name} --runbook {words['runbook']}`"
    )


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as error:
        raise Negative(f"{path} exists already; it was not written") from error
    except OSError as error:
        raise Negative(f"{path} could not be written: {error.strerror}") from error


def _split(words: str | None) -> tuple[str, ...] | None:
    return None if words is None else tuple(word.strip() for word in words.split(","))


def _worlds(file: Path | None, options: dict[str, Any]) -> Sequence[World]:
    given = {name: value for name, value in options.items() if value is not None}
    if file is None and not given:
        return COMMON
    return [world_with(world_of(file) if file is not None else World(), **given)]


def _show(played: dict[str, Any]) -> None:
    console.print(safe(played["world"]))
    width = max((len(step["verb"]) for step in played["steps"]), default=0)
    for step in played["steps"]:
        console.print(f"  {safe(step['verb']):<{width}}  {safe(step['answer'])}")
    changes = ", ".join(played["changes"]) or "none"
    console.print(f"  => {safe(played['ending'] or 'no ending')}: {safe(played['because'])}")
    console.print(f"     changes that would have been sent: {safe(changes)}")
    if played["fault"]:
        console.print(f"  FAULT {safe(played['fault'])}")


playbook_command = command_of(app)
