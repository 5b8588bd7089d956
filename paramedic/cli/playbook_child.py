"""Playbooks are imported in a process of their own, as the responder has them: the command line knows no Prefect."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paramedic.catalog import playbook_file
from paramedic.cli.output import Negative
from paramedic.machine import file_ownership
from paramedic.settings import IMPORTED_FIRST, Settings
from paramedic.text.sanitize import one_line
from paramedic.text.yaml_document import Problem

#: How long importing a team's playbooks may take, in seconds: a file that never ends its import must not hang the command.
_SECONDS = 60.0


def files(settings: Settings) -> list[Path]:
    """The team's own playbooks. Raises Negative where the settings name no folder of them."""
    if settings.flows is None:
        raise Negative("no folder of playbooks is named: set PARAMEDIC_FLOWS (docs/runbooks.md)")
    return playbook_file.files(settings.flows)


def must_be_there(settings: Settings) -> None:
    """Raises Negative where the folder of playbooks that the settings name does not exist."""
    if settings.flows is not None and not settings.flows.is_dir():
        raise Negative(f"there is no folder {settings.flows}: `paramedic playbook new NAME` makes it, with a playbook")


def problems(settings: Settings, wanted: Sequence[Path] | None = None) -> list[Problem]:
    """What is wrong with the team's own playbooks, or with these: what their text shows, and what importing does."""
    if settings.flows is None:
        return []
    found, importable = by_text(settings.flows, files(settings) if wanted is None else wanted)
    known = {problem.file for problem in found}
    found += [
        problem
        for problem in _imported(settings, importable)
        if problem.file not in known or problem.what.startswith(playbook_file.NO_IMPORT)
    ]
    return sorted(found, key=lambda problem: (problem.file, problem.line, problem.column))


def by_text(flows: Path, wanted: Sequence[Path]) -> tuple[list[Problem], list[Path]]:
    """What is wrong with these files without importing them; and those that may be imported.

    A file that others can write is not imported, nor one that is no Python or is not used.
    """
    found = [problem for problem in playbook_file.unused(flows) if Path(problem.file) in wanted]
    misnamed = {problem.file for problem in found}
    importable = []
    for path in wanted:
        if str(path) in misnamed:
            continue
        if untrusted := file_ownership.complaint(path):
            found.append(Problem(str(path), 1, 1, "it is not imported: others can change it", untrusted))
            continue
        faults = playbook_file.problems(path)
        found += faults
        if not any(problem.what.startswith(playbook_file.UNREADABLE) for problem in faults):
            importable.append(path)
    return found, importable


def file_of(settings: Settings, name: str) -> Path:
    """The file of a team's own playbook. Raises Negative where there is none."""
    stem = name.replace("-", "_")
    there = files(settings)
    found = next((path for path in there if path.stem == stem), None)
    if found is None:
        names = ", ".join(path.stem.replace("_", "-") for path in there) or "none"
        raise Negative(f"there is no playbook {name!r} in {settings.flows}; there are: {names}")
    return found


def ask(settings: Settings, module: str, argv: Sequence[str] = (), *, request: Any = None) -> Any:
    """What `python -m MODULE ARGV` answers in JSON, with the modules that the responder has. Raises Negative, with its words.

    `request` is its standard input, in JSON.
    """
    with tempfile.TemporaryDirectory(prefix="paramedic-") as home:
        env = dict(os.environ) | settings.as_env()
        env |= {
            "PYTHONPATH": os.pathsep.join([*IMPORTED_FIRST, *filter(None, [os.environ.get("PYTHONPATH")])]),
            "PYTHONSAFEPATH": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PREFECT_HOME": home,  # nothing of a server's is made in the user's own
            "PREFECT_LOGGING_TO_API_ENABLED": "false",
        }
        env.pop("PARAMEDIC_CONFIG", None)  # what it says is in the environment
        command = [sys.executable, "-m", module, *argv]
        try:
            done = subprocess.run(
                command,
                env=env,
                input=json.dumps(request),
                capture_output=True,
                text=True,
                check=False,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise Negative(f"the playbooks did not end within {_SECONDS:.0f} s: {_last_line(error.stderr)}") from error
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        raise Negative(f"the playbooks' process ended with {done.returncode}: {_last_line(done.stderr)}") from error


def _imported(settings: Settings, paths: Sequence[Path]) -> list[Problem]:
    """What importing each file in a process of its own shows; one that ends or hangs it hides none of the others' faults."""
    if not paths:
        return []
    try:
        return [Problem(**problem) for problem in ask(settings, "tasks.playbook_lint", [str(path) for path in paths])]
    except Negative as no:
        if len(paths) == 1:
            return [Problem(str(paths[0]), 1, 1, f"{playbook_file.NO_IMPORT}: {no}", "do nothing at import but define")]
    return [problem for path in paths for problem in _imported(settings, [path])]


def _last_line(stderr: str | bytes | None) -> str:
    text = stderr.decode(errors="replace") if isinstance(stderr, bytes) else stderr or ""
    lines = text.strip().splitlines()
    return one_line(lines[-1])[:300] if lines else "it said nothing"
