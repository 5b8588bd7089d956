"""No block that holds a transaction of the store calls anything that waits for a target, a disk or the network.

Read from the code, so that it holds for paths that no test walks; `held_transactions` holds it for those that tests walk.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Whatever is called of these waits for something outside the store.
OUTSIDE = (
    "paramedic.doors",
    "paramedic.integrations",
    "paramedic.sampling.one_sample",
    "paramedic.transports.local_command",
    "paramedic.catalog.library",
    "httpx",
    "socket",
    "subprocess",
    "shutil",
    "urllib",
    "time.sleep",
    "tasks.prefect_api.own_state",
    "tasks.prefect_api.prefect_api",
)

#: Of files these ask, whatever the object is called. A snapshot (`read`) may be written to a file.
ON_DISK = {
    "open",
    "read_text",
    "read_bytes",
    "write_text",
    "write_bytes",
    "iterdir",
    "glob",
    "is_file",
    "mkdir",
    "unlink",
}

#: What has been read already, what touches nothing, and what waits only where a test of crashes says so.
HARMLESS = ("paramedic.catalog.library.Library", "urllib.parse", "paramedic.machine.kill_points")


@dataclass(frozen=True)
class Module:
    name: str
    tree: ast.Module
    names: dict[str, str]  # as it is called here -> in full
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef]  # of methods: their own name


@cache
def modules() -> dict[str, Module]:
    found = {}
    for room in ("paramedic", "tasks", "flows"):
        for path in sorted((ROOT / room).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = read(name, path.read_text(encoding="utf-8"))
    return found


def read(name: str, text: str) -> Module:
    tree = ast.parse(text)
    names: dict[str, str] = {}
    functions = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            functions[node.name] = node
    return Module(name, tree, names, functions)


def transactions(module: Module) -> Iterator[tuple[str, ast.With]]:
    """Each block that holds one, and its kind."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.With):
            continue
        for item in node.items:
            opened = item.context_expr
            if (
                isinstance(opened, ast.Call)
                and isinstance(opened.func, ast.Attribute)
                and opened.func.attr in ("read", "write", "record")
                and not opened.args
            ):
                yield opened.func.attr, node


def touched(module: Module, body: list[ast.stmt], kind: str, seen: set[tuple[str, str]]) -> Iterator[str]:
    """What these statements touch outside the store, themselves or in functions of ours that they call."""
    for call in (node for statement in body for node in ast.walk(statement) if isinstance(node, ast.Call)):
        called = ast.unparse(call.func)
        first, _, rest = called.partition(".")
        full = ".".join(filter(None, (module.names.get(first, first), rest)))
        if full.startswith(HARMLESS):
            continue
        if full.startswith(OUTSIDE) or (kind != "read" and called.rpartition(".")[2] in ON_DISK):
            yield f"{module.name}:{call.lineno}: {called}"
        else:
            owner, name = (module, rest) if first == "self" else _owner(module, full)
            function = owner.functions.get(name) if owner is not None else None
            if owner is not None and function is not None and (owner.name, name) not in seen:
                seen.add((owner.name, name))
                yield from touched(owner, function.body, kind, seen)


def _owner(module: Module, full: str) -> tuple[Module | None, str]:
    room, _, name = full.rpartition(".")
    return (modules().get(room), name) if room else (module, name)


@pytest.mark.parametrize("name", sorted(modules()))
def test_nothing_outside_the_store_is_waited_for_inside_a_transaction(name: str) -> None:
    module = modules()[name]
    found = [what for kind, block in transactions(module) for what in touched(module, block.body, kind, set())]
    assert not found


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("reading.identity(t)", "reading.identity"),
        ("time.sleep(1)", "time.sleep"),
        ("own_state('x')", "own_state"),
        ("path.read_text()", "path.read_text"),
        ("_limits()", "reading.probe"),
        ("self._look()", "reading.probe"),
    ],
)
def test_what_would_be_found(body: str, what: str) -> None:
    text = (
        "import time\nfrom tasks.prefect_api import own_state\nfrom paramedic.doors import reading\n"
        "def _limits():\n    reading.probe('x')\n"
        f"class One:\n    def _look(self):\n        reading.probe('x')\n"
        f"    def work(self):\n        with self.store.record() as tx:\n            {body}\n"
    )
    module = read("paramedic.made_up", text)
    found = [fault for kind, block in transactions(module) for fault in touched(module, block.body, kind, set())]
    assert [fault.rpartition(": ")[2] for fault in found] == [what]
