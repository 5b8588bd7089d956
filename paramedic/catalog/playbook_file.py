"""What can be told of a playbook's file without importing it: its names, its function, where it changes something."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from paramedic.catalog import deployments
from paramedic.text.yaml_document import Problem

_Function = ast.FunctionDef | ast.AsyncFunctionDef

#: The modules of the verbs that the check knows by name.
_DECORATOR, _CLAIM, _CHANGES = ("tasks.playbook", "playbook"), ("tasks.guard", "exclusive"), "tasks.act"

#: How the problem of a file begins that is not worth importing, and that of one that cannot be.
UNREADABLE, NO_IMPORT = "it is not Python", "it cannot be imported"

#: The file as it must be, with its name.
SHAPE = "write `@playbook` above `def {}(incident: Incident, runbook: Runbook) -> Outcome:`"

#: What a playbook returns.
ENDS = "return what `resolved`, `recovered` or `hand_over` returns"


def problems(path: Path) -> list[Problem]:
    """Every problem of the file that its text shows, by line. Nothing of it is run."""
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        place = (error.lineno or 1, error.offset or 1)
        return [Problem(str(path), *place, f"{UNREADABLE}: {error.msg}", "mend the syntax")]
    except (OSError, ValueError) as error:
        return [Problem(str(path), 1, 1, f"it cannot be read: {error}", "a file of Python source")]
    file = _File(path, tree, dict(_imported(tree)))
    found = [*_misnamed(file), *_function(file)]
    return sorted(found, key=lambda problem: (problem.line, problem.column))


def files(flows: Path) -> list[Path]:
    """The files of a team's own folder that are meant as playbooks; those that begin with `_` are helpers."""
    return [path for path in sorted(flows.glob("*.py")) if not path.name.startswith("_")]


def unused(flows: Path) -> list[Problem]:
    """Which of those are no playbook of the team, because of their names."""
    shipped = deployments.shadowed(flows)
    found = [
        Problem(str(path), 1, 1, "is not used: Paramedic ships a flow of this name", "give the file another name")
        for path in shipped
    ]
    for path in files(flows):
        if not path.stem.isidentifier() or not path.stem.islower():
            name = "".join(letter if letter.isalnum() else "_" for letter in path.stem.lower())
            found.append(Problem(str(path), 1, 1, "is not the name of a playbook's file", f"name it {name}.py"))
    return found


class About(NamedTuple):
    """What a playbook's text says that it does."""

    summary: str  # the first sentence of its docstring
    verbs: tuple[str, ...]  # that it calls, in the order of its text


def about(path: Path) -> About:
    """What the playbook says of itself, and the verbs of `tasks/` that it calls. Empty where the file cannot be read."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, OSError, ValueError):
        return About("", ())
    file = _File(path, tree, dict(_imported(tree)))
    story = file.functions.get(path.stem)
    words = " ".join((ast.get_docstring(story) or "").split()) if story is not None else ""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    calls.sort(key=lambda node: (node.lineno, node.col_offset))
    meant = [found for node in calls if (found := file.means(node.func)) is not None]
    verbs = dict.fromkeys(verb for module, verb in meant if module.startswith("tasks."))
    summary, dot, _ = words.partition(". ")
    return About(summary + dot.strip(), tuple(verbs))


class _File(NamedTuple):
    """A parsed file, and what its local names stand for: (module, name)."""

    path: Path
    tree: ast.Module
    imported: dict[str, tuple[str, str]]

    def problem(self, at: ast.AST, what: str, allowed: str) -> Problem:
        return Problem(str(self.path), getattr(at, "lineno", 1), getattr(at, "col_offset", 0) + 1, what, allowed)

    def means(self, node: ast.AST) -> tuple[str, str] | None:
        """What a name, or `module.name`, was imported as."""
        if isinstance(node, ast.Name):
            return self.imported.get(node.id)
        if isinstance(node, ast.Attribute):
            module = ast.unparse(node.value)
            at = self.imported.get(module)
            return (at[0] + (f".{at[1]}" if at[1] else ""), node.attr) if at else (module, node.attr)
        return None

    @property
    def functions(self) -> dict[str, _Function]:
        """Its functions at the top level."""
        return {node.name: node for node in self.tree.body if isinstance(node, _Function)}


def _imported(tree: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((name.asname or name.name, (node.module or "", name.name)) for name in node.names)
        elif isinstance(node, ast.Import):
            yield from ((name.asname, (name.name, "")) for name in node.names if name.asname)


def _misnamed(file: _File) -> Iterator[Problem]:
    name = file.path.stem
    stories = [function for function in file.functions.values() if _is_playbook(file, function)]
    for story in stories:
        if story.name != name:
            what = f"the playbook is called {story.name}, and its file {file.path.name}"
            yield file.problem(story, what, f"one playbook a file, of its file's name: {name}")
    if name not in file.functions and not stories and name not in _assigned(file.tree):
        helper = f"; a file that only others import is called _{file.path.name}"
        yield file.problem(file.tree, f"there is no playbook {name} in it", SHAPE.format(name) + helper)
    elif name in file.functions and file.functions[name] not in stories and not file.functions[name].decorator_list:
        yield file.problem(file.functions[name], f"{name} is not a playbook", SHAPE.format(name))


def _assigned(tree: ast.Module) -> set[str]:
    """The names that are bound at the top level otherwise than by `def`: importing tells what they are."""
    assigned = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    imported = {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    return assigned | imported


def _is_playbook(file: _File, function: _Function) -> bool:
    return any(file.means(decorator) == _DECORATOR for decorator in function.decorator_list)


def _function(file: _File) -> Iterator[Problem]:
    """What is wrong with the playbook itself: how it is called, how it ends, and what it does outside its claim."""
    story = file.functions.get(file.path.stem)
    if story is None or not _is_playbook(file, story):
        return
    if isinstance(story, ast.AsyncFunctionDef):
        yield file.problem(story, "a playbook is not `async`: its verbs wait themselves", SHAPE.format(story.name))
        return
    taken = [argument.arg for argument in (*story.args.posonlyargs, *story.args.args)]
    if len(taken) != 2 or story.args.kwonlyargs:
        its = ast.unparse(story.args) or "nothing"
        what = f"a playbook is called with the incident and its runbook, and this one takes: {its}"
        yield file.problem(story, what, SHAPE.format(story.name))
    for node in _own(story):
        if isinstance(node, ast.Return) and (node.value is None or _is_none(node.value)):
            yield file.problem(node, "it ends without an outcome", ENDS)
        if isinstance(node, ast.Yield | ast.YieldFrom):
            yield file.problem(node, "a playbook does not yield", SHAPE.format(story.name))
    if _falls_through(story.body):
        yield file.problem(story, "it can come to its end without an outcome", ENDS)
    if _claims_otherwise(file):
        return
    for node, verb in _unclaimed(file, story.body, frozenset({story.name})):
        what = f"{verb} is called outside `with exclusive(incident.target)`, where every change is refused"
        yield file.problem(node, what, "call it inside")


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _own(story: _Function) -> Iterator[ast.AST]:
    """The nodes of the function, without those of functions inside it."""
    waiting: list[ast.AST] = list(story.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)


def _falls_through(body: list[ast.stmt]) -> bool:
    """Whether the statements can be followed by another one."""
    if not body:
        return True
    match body[-1]:
        case ast.Return() | ast.Raise():
            return False
        case ast.If(body=then, orelse=otherwise):
            return _falls_through(then) or _falls_through(otherwise)
        case ast.With(body=inside):
            return _falls_through(inside)
        case ast.Try(body=inside, handlers=handlers, orelse=otherwise, finalbody=last):
            if last and not _falls_through(last):
                return False
            paths = [otherwise or inside, *(handler.body for handler in handlers)]
            return any(map(_falls_through, paths)) if otherwise or inside else True
        case ast.While(test=ast.Constant(value=True)) as loop:
            return any(isinstance(node, ast.Break) for node in ast.walk(loop))
        case ast.Match(cases=cases):
            is_whole = isinstance(cases[-1].pattern, ast.MatchAs) and cases[-1].pattern.pattern is None
            return not is_whole or any(_falls_through(case.body) for case in cases)
    return True


def _unclaimed(file: _File, body: Iterable[ast.AST], seen: frozenset[str]) -> Iterator[tuple[ast.AST, str]]:
    """The changes that no claim encloses, also those of the file's own functions that are called without one."""
    for node in body:
        if isinstance(node, ast.With) and any(_claims(file, item.context_expr) for item in node.items):
            continue
        if isinstance(node, ast.Call):
            meant = file.means(node.func)
            if meant is not None and meant[0] == _CHANGES:
                yield node, meant[1]
            called = node.func.id if isinstance(node.func, ast.Name) else ""
            if called in file.functions and called not in seen:
                yield from _unclaimed(file, file.functions[called].body, seen | {called})
        yield from _unclaimed(file, ast.iter_child_nodes(node), seen)


def _claims_otherwise(file: _File) -> bool:
    """Whether the claim is taken otherwise than by `with`, as by an ExitStack: the text does not show where it is held."""
    nodes = list(ast.walk(file.tree))
    ours = [item.context_expr for node in nodes if isinstance(node, ast.With) for item in node.items]
    return any(_claims(file, node) and node not in ours for node in nodes)


def _claims(file: _File, node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and file.means(node.func) == _CLAIM
