"""No kind of target and no remedy asks the machine that it runs on: what it needs, it asks for by its transport."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "paramedic" / "integrations"

#: Modules of the standard library and others that lead to the machine. The import contract has them too.
LEADING_OUT = {"fcntl", "os", "pathlib", "psutil", "shutil", "signal", "socket", "subprocess", "tempfile"}

#: Names that need no import, or are reached by what was imported for something else.
CALLS = {"open", "__import__", "exec", "eval", "import_module", "urlopen", "ServerProxy", "HTTPConnection"}


def modules() -> list[Path]:
    found = [path for room in ("targets", "remedies", "evidence") for path in sorted((ROOT / room).glob("*.py"))]
    assert len(found) >= 6
    return found


def reaching_out(text: str) -> Iterator[str]:
    """What the module does past its transport."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in LEADING_OUT)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module.partition(".")[0] in LEADING_OUT or module.startswith("paramedic.transports"):
                yield module
            yield from (f"{module}.{alias.name}" for alias in node.names if alias.name == "transports")
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name.rpartition(".")[2] in CALLS:
                yield name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "/proc/" in node.value:
            yield node.value


def in_scripts(path: Path, way: str) -> bool:
    """Whether it is what a kind of evidence looks at there, by a script that its transport runs: nothing else opens it."""
    return path.parent.name == "evidence" and "/proc/" in way


def by_http(path: Path, way: str) -> bool:
    """Whether it asks a health address, which is asked from here wherever the target is."""
    return (path.stem, way) == ("http_timing", "paramedic.transports")


@pytest.mark.parametrize("path", modules(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_it_asks_by_its_transport(path: Path) -> None:
    ways = reaching_out(path.read_text(encoding="utf-8"))
    assert [way for way in ways if not in_scripts(path, way) and not by_http(path, way)] == []


@pytest.mark.parametrize(
    "sin",
    [
        "import os\nos.kill(1, 9)",
        "import subprocess",
        "from pathlib import Path",
        "import socket as line",
        "from os import path",
        "import psutil",
        "open('/etc/passwd')",
        "from importlib import import_module\nimport_module('os')",
        "import xmlrpc.client\nxmlrpc.client.ServerProxy('http://here')",
        "from paramedic.transports.local import Local",
        "from paramedic import transports",
        "where = f'/proc/{pid}/stat'",
    ],
)
def test_what_goes_past_it_is_found(sin: str) -> None:
    assert list(reaching_out(sin)) != []


def without_a_limit(text: str) -> list[str]:
    """The changes by a program that its machine would let run for ever: those that are started have a name."""
    named = (item for node in ast.walk(ast.parse(text)) if isinstance(node, ast.With) for item in node.items)
    calls = [item.context_expr for item in named if item.optional_vars is not None]
    return [
        ast.unparse(call)
        for call in calls
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("ransport.command")
        if not {keyword.arg for keyword in call.keywords} & {"limit", "killed_after"}
    ]


@pytest.mark.parametrize(
    "path",
    [*modules(), *sorted((ROOT.parent / "processes").glob("*.py"))],
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_every_change_by_a_program_has_a_limit_that_its_machine_keeps(path: Path) -> None:
    assert without_a_limit(path.read_text(encoding="utf-8")) == []


def test_that_test_sees_one_that_has_none() -> None:
    assert without_a_limit("with self._transport.command(words) as find:\n    find.start()\n") != []
