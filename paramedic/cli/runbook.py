"""`paramedic runbook`."""

import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from paramedic.catalog import target_kinds
from paramedic.catalog.advice import advice
from paramedic.catalog.library import Library, open_library, problems_of_runbooks
from paramedic.catalog.runbook import Runbook
from paramedic.catalog.runbook_file import schema
from paramedic.cli import playbook_child
from paramedic.cli.output import NO_FOLDER, AsJson, Data, Negative, console, protected_settings, safe, say_json, table
from paramedic.kinds import registry
from paramedic.text.nearest import nearest
from paramedic.text.sanitize import visible
from paramedic.text.yaml_document import BadDocument, Problem

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Folder = Annotated[
    Path | None,
    typer.Option("--folder", exists=True, file_okay=False, help="Another folder of runbooks.", metavar="DIR"),
]


@app.command("list")
def list_(folder: Folder = None, data: Data = None, as_json: AsJson = False) -> None:
    """Every usable runbook, and the number of the others."""
    library = library_of(folder, data)
    if as_json:
        say_json([_as_json(runbook) for runbook in library.runbooks.values()])
        return
    rows = table("runbook", "service", "mode", "playbook", "version")
    for runbook in library.runbooks.values():
        rows.add_row(*map(safe, (runbook.name, runbook.service, runbook.mode, runbook.playbook, runbook.version[:12])))
    console.print(rows)
    if library.problems:
        console.print(f"{len(library.problems)} problems: `paramedic runbook lint`")


@app.command()
def show(name: str, folder: Folder = None, data: Data = None, as_json: AsJson = False) -> None:
    """One runbook, as it is written."""
    runbook = named(library_of(folder, data), name)
    if as_json:
        say_json(_as_json(runbook) | {"text": runbook.text})
        return
    typer.echo(visible(runbook.text))


@app.command()
def lint(folder: Folder = None, data: Data = None, as_json: AsJson = False) -> None:
    """Every problem with its file, line and column, and what is allowed there; also of the playbooks of your own."""
    folder_path, settings = _folder(folder, data), protected_settings(data)
    try:
        library = open_library(settings, folder_path)
    except BadDocument as error:
        problems, words = (*_plugins(), *error.problems, *problems_of_runbooks(folder_path)), ""
    else:
        beyond = (*advice(library, folder_path, act_deadline=settings.act_deadline), *_to_fill_in(library, folder_path))
        known = set(map(str, library.problems))
        playbooks = [problem for problem in playbook_child.problems(settings) if str(problem) not in known]
        problems = (*_plugins(), *library.problems, *beyond, *playbooks)
        words = f"{len(library.runbooks)} runbooks, {len(list(library.services))} targets: nothing wrong"
    if as_json:
        say_json([asdict(problem) for problem in problems])
    else:
        typer.echo("\n".join(visible(str(problem)) for problem in problems) or words)
    if not folder_path.exists():
        typer.echo(f"there is no folder {visible(str(folder_path))}: {NO_FOLDER}", err=True)
    if problems:
        raise typer.Exit(1)


@app.command("schema")
def schema_() -> None:
    """The JSON Schema of a runbook's front matter, for editors (docs/runbooks.md)."""
    say_json(schema())


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Small letters, digits and -.")],
    service: Annotated[str, typer.Option(help="A service of services.yaml.")],
    folder: Folder = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Write a new runbook in observe mode; `lint` says what is left to fill in."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,99}", name):
        raise typer.BadParameter(f"{name!r}: a runbook's name is small letters, digits and -")
    where = _folder(folder, data)
    services = open_library(protected_settings(data), where).services
    targets = [target for target in services if target.service == service]
    if not targets:
        there = nearest(service, sorted({target.service for target in services}), "there are")
        raise Negative(f"services.yaml lists no target of {service!r}: list it first; {there}")
    file = where / f"{name}.md"
    text = _SKELETON.format(
        name=name,
        service=service,
        kind=targets[0].kind,
        target=targets[0].name,
        evidence=", ".join(target_kinds.evidence(targets[0].kind)[:2]),
    )
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as error:
        raise Negative(f"{file} exists already; nothing was written") from error
    except OSError as error:
        raise Negative(f"{file} could not be written: {error.strerror}") from error
    if as_json:
        say_json({"name": name, "service": service, "file": str(file)})
        return
    typer.echo(f"{visible(str(file))}: fill in what is in capitals, then `paramedic runbook lint`")


def _plugins() -> Iterator[Problem]:
    """Plug-ins that cannot be used: what a runbook means by a word may be another's."""
    for plugin in registry.current().broken():
        yield Problem(plugin.where, 1, 1, f"the plug-in {plugin.name} of {plugin.room} cannot be used", plugin.why)


def _to_fill_in(library: Library, folder: Path) -> Iterator[Problem]:
    """What is still as `new` wrote it. It is not a problem of the library: nobody is paged while it is being filled in."""
    for runbook in library.runbooks.values():
        for number, line in enumerate(runbook.text.split("\n"), 1):
            if line in _TO_FILL_IN:
                what = f"still as `paramedic runbook new` wrote it: {line.strip()}"
                yield Problem(str(folder / f"{runbook.name}.md"), number, 1, what, "fill in what is in capitals")


_SKELETON = """\
---
runbook: {name}
service: {service}
when:
  - alert: ALERTNAME
mode: observe # raise it to `act` once `paramedic runbook record {name}` says that it would have been right
playbook: restart-service
with:
  target: {{{kind}: {target}, host: "{{instance}}"}}
  evidence: [{evidence}]
  verify: {{health: ok, stable: 1m, within: 5m}}
guardrails: {{budget: 3 per hour, cooldown: 10m}}
---
# WHAT IS WRONG, IN ONE LINE

**Meaning.** WHAT THE ALERT SAYS, AND OF WHAT.

**Impact.** WHO NOTICES, AND WHAT THEY CANNOT DO.

## Diagnosis

1. WHAT TO LOOK AT FIRST.

## Mitigation

1. WHAT TO DO BY HAND WHEN PARAMEDIC COULD NOT.
"""

_TO_FILL_IN = frozenset(line for line in _SKELETON.split("\n") if re.search("[A-Z]{4}", line))


def _as_json(runbook: Runbook) -> dict[str, Any]:
    return {
        "name": runbook.name,
        "service": runbook.service,
        "mode": runbook.mode,
        "playbook": runbook.playbook,
        "version": runbook.version,
    }


def named(library: Library, name: str) -> Runbook:
    """The usable runbook of this name. Raises Negative where there is none."""
    if name not in library.runbooks:
        raise Negative(f"there is no usable runbook {name!r}; there are {', '.join(library.runbooks) or 'none'}")
    return library.runbooks[name]


def library_of(folder: Path | None, data: Path | None) -> Library:
    """The library of the folder, or of the settings'. Raises BadDocument."""
    return open_library(protected_settings(data), folder)


def _folder(folder: Path | None, data: Path | None) -> Path:
    return folder if folder is not None else protected_settings(data).runbooks
