"""`python -m tasks.playbook_lint FILE…`: imports playbooks as the responder does; prints what is wrong with them, as JSON.

It runs their authors' code: the caller has made sure that nobody else can write those files.
"""

import json
import os
import sys
import traceback
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from prefect import Flow

from paramedic.catalog.playbook_file import NO_IMPORT, SHAPE
from paramedic.text.redaction import hush_logging, redact
from paramedic.text.sanitize import one_line
from paramedic.text.yaml_document import Problem

#: So much of an error's own words is shown.
_LONGEST = 500


def imported(path: Path) -> ModuleType | Problem:
    """The module `flows.NAME` of the file, or why it cannot be imported, with the line of the file that it came to."""
    try:
        return import_module(f"flows.{path.stem}")
    except BaseException as error:  # noqa: BLE001 - an author's module may raise anything, SystemExit too
        return Problem(str(path), _line(error, path), 1, f"{NO_IMPORT}: {cause(error)}", _advice(error))


def cause(error: BaseException) -> str:
    """The error in one line, without secrets."""
    return one_line(redact(f"{type(error).__name__}: {error}"))[:_LONGEST]


def problems(path: Path) -> list[Problem]:
    """What importing the file shows: that it cannot be imported, has no flow, or one that is no playbook."""
    module = imported(path)
    if isinstance(module, Problem):
        return [module]
    where = Path(module.__file__ or "").resolve()
    if where != path.resolve():
        return [Problem(str(path), 1, 1, f"it is not what runs: flows.{path.stem} is {where}", "give it another name")]
    flows = {name: flow for name, flow in vars(module).items() if isinstance(flow, Flow)}
    ours = flows.pop(path.stem, None)
    others = [name for name, flow in flows.items() if flow is not ours and flow.fn.__module__ == module.__name__]
    found = [
        Problem(str(path), _began(flows[name]), 1, f"{name} is a second flow in it", "one playbook a file")
        for name in others
    ]
    if ours is None:
        what = f"there is no flow {path.stem} in it"
        return [*found, Problem(str(path), 1, 1, what, SHAPE.format(path.stem))]
    return [*found, *_misshapen(path, ours)]


def _misshapen(path: Path, ours: "Flow[..., Any]") -> list[Problem]:
    found = []
    taken = list(ours.parameters.properties)
    if taken != ["run"] or not hasattr(ours.fn, "story"):
        what = f"the flow takes {', '.join(taken) or 'nothing'}, and a playbook's only parameter is `run`"
        found.append(Problem(str(path), _began(ours), 1, what, SHAPE.format(path.stem)))
    wanted = path.stem.replace("_", "-")
    if ours.name != wanted:
        what = f"the flow is called {ours.name}, and its deployment {wanted}"
        found.append(Problem(str(path), _began(ours), 1, what, f"call the function {path.stem}"))
    return found


def _began(flow: "Flow[..., Any]") -> int:
    """The line of the flow's function."""
    story = getattr(flow.fn, "story", flow.fn)
    return int(getattr(getattr(story, "__code__", None), "co_firstlineno", 1))


def _line(error: BaseException, path: Path) -> int:
    """The last line of the file that the error came through."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename) == path:
        return error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.lineno and Path(frame.filename).resolve() == path.resolve()]
    return lines[-1] if lines else 1


def _advice(error: BaseException) -> str:
    match error:
        case ModuleNotFoundError(name=str(name)):
            return f"install what has {name} beside Paramedic ({sys.prefix}), or name its folder in PYTHONPATH of `paramedic up`"
        case SyntaxError():
            return "mend the syntax"
        case LookupError() if "no playbook is at work" in str(error):
            return "call verbs inside the playbook's function alone"
    return "mend it where it is raised"


def main() -> None:
    """Lint the files that are named. What they print while they are imported is not part of the answer."""
    hush_logging()
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)
        found = [problem for name in sys.argv[1:] for problem in problems(Path(name))]
        json.dump([asdict(problem) for problem in found], answer)
        answer.flush()
    os._exit(0)  # whatever thread a file has started is not waited for


if __name__ == "__main__":
    main()
