"""Generates the verbs in docs/verbs.md from their docstrings: `python -m tasks.verbs_page` in the tree. Imports none of them."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PAGE = Path("docs/verbs.md")

#: The modules of verbs, in the order in which a playbook comes to them.
MODULES = ("guard", "detect", "diagnose", "act", "verify", "notify", "escalate")

#: Verbs that are no step of a kind: what they call is.
_BESIDE = ("exclusive", "apply")

#: The kinds of step, in words.
_KINDS = {
    "reads": "Reads",
    "changes": "Changes production",
    "tells": "Tells people",
}

_BEGIN, _END = "<!-- made by `make tables`: verbs -->\n", "<!-- end -->"


class Verb(NamedTuple):
    """A verb as its module has it."""

    name: str
    signature: str
    kind: str  # what kind of step it is, with its bounds, in words
    text: str  # its docstring


def verbs(source: str) -> Iterator[Verb]:
    """The verbs of a module of `tasks/`. Raises ValueError where one has no docstring."""
    for function in ast.parse(source).body:
        if not isinstance(function, ast.FunctionDef) or function.name.startswith("_"):
            continue
        kind = next((found for found in map(_kind, function.decorator_list) if found), "")
        if not kind and function.name not in _BESIDE:
            continue
        text = ast.get_docstring(function)
        if not text:
            raise ValueError(f"the verb {function.name} has no docstring")
        yield Verb(function.name, _signature(function, kind), kind, text)


def _signature(function: ast.FunctionDef, kind: str) -> str:
    if kind == _KINDS["changes"]:  # as a playbook calls it: `changes` makes it so
        return f"{function.name}(target: str, remedy: Remedy = RESTART) -> None"
    return f"{function.name}({ast.unparse(function.args)}) -> {ast.unparse(function.returns or ast.Constant(None))}"


def _kind(decorator: ast.expr) -> str:
    """What a decorator makes of the verb, in words; empty where it is no kind of step."""
    call = decorator if isinstance(decorator, ast.Call) else None
    name = call.func if call is not None else decorator
    if not isinstance(name, ast.Name) or name.id not in _KINDS:
        return ""
    given = {word.arg: word.value for word in call.keywords} if call is not None else {}
    bounds = []
    match given.get("retries"):
        case ast.Constant(value=int(times)) if times:
            bounds.append(f"tried up to {times + 1} times where it raises TemporaryError")
    match given.get("timeout"):
        case ast.Call(keywords=[ast.keyword(arg=str(unit), value=ast.Constant(value=int(count)))]):
            bounds.append(f"at most {count} {unit.removesuffix('s') if count == 1 else unit}")
    return ": ".join([_KINDS[name.id], *([", ".join(bounds)] if bounds else [])])


def made(folder: Path = Path("tasks")) -> str:
    """The verbs of the folder's modules, as Markdown."""
    parts = []
    for module in MODULES:
        source = (folder / f"{module}.py").read_text(encoding="utf-8")
        about = (ast.get_docstring(ast.parse(source)) or "").splitlines()[0]
        parts.append(f"## `tasks.{module}`: {about}\n")
        for verb in verbs(source):
            kind = f"*{verb.kind}.* " if verb.kind else ""
            parts.append(f"### `{verb.signature}`\n\n{kind}{verb.text}\n")
    return "\n".join(parts)


def written(text: str, folder: Path = Path("tasks")) -> str:
    """The page's text with the current verbs. Raises ValueError where it has no place for them."""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{PAGE} has no lines {_BEGIN.strip()!r} and {_END!r}")
    return f"{before}{begin}\n{made(folder)}\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
