"""The house stays one in which a newcomer finds things: modules of one subject, in their rooms, and a table that is true."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from paramedic.kinds import face_faults
from paramedic.kinds.registry import Registry, Room

ROOT = Path(__file__).parents[1]

#: What a module in the middle of `paramedic/` is for everybody.
LOOSE = {"__init__", "errors", "keys", "settings"}

FILE, CLASS, FUNCTION = 400, 250, 50  # lines at most

ROOMS = ("paramedic", "tasks", "flows", "benchmarks", "docs", "tests")


def modules() -> list[Path]:
    found = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    assert len(found) > 500
    return [path for path in found if "migrations" not in path.parts]  # a migration is written once, and stays


def too_long(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    where = path.relative_to(ROOT)
    if (lines := text.count("\n")) > FILE:
        yield f"{where}: {lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > (CLASS if isinstance(node, ast.ClassDef) else FUNCTION):
                yield f"{where}:{node.lineno} {node.name}: {lines} lines"


def test_nothing_is_too_long_to_be_read_at_once() -> None:
    assert [fault for path in modules() for fault in too_long(path)] == []


def test_every_module_is_in_a_room() -> None:
    assert {path.stem for path in (ROOT / "paramedic").glob("*.py")} == LOOSE


def test_no_two_files_of_the_tests_have_one_name() -> None:
    """Each is imported by its name alone: of two, one would stand for both."""
    tests = ROOT / "tests"
    names = [path.name for path in tests.rglob("*.py") if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))


# --- CONTRIBUTING's table ---------------------------------------------------------------------------------------------


def rows() -> list[tuple[str, str, str]]:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = page.partition("## One file and its test")[2].partition("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")
    ]
    return [(what, write, test) for what, write, test in cells[2:]]


ROWS = rows()


@pytest.mark.parametrize("row", ROWS, ids=[what for what, _, _ in ROWS])
def test_a_row_names_places_that_there_are(row: tuple[str, str, str]) -> None:
    places = [place for place in re.findall(r"`([^`]+)`", " ".join(row[1:])) if "/" in place and "(" not in place]
    assert places
    for place in places:
        fixed = re.split(r"NAME|VERB_OBJECT", place)[0]
        there = [base / fixed for base in (ROOT, ROOT / "paramedic")]
        own = fixed in {f"{room}/" for room in Room}  # in a team's own folder
        assert own or any(path.exists() for path in there), f"{row[0]}: {place}"


@pytest.mark.parametrize(
    ("what", "room"),
    [
        ("a source", Room.SOURCES),
        ("a kind of target", Room.TARGETS),
        ("a probe", Room.PROBES),
        ("a channel", Room.CHANNELS),
        ("a kind of evidence", Room.EVIDENCE),
    ],
)
def test_a_plug_in_s_row_names_its_whole_face(what: str, room: Room) -> None:
    [row] = [row for row in ROWS if row[0].startswith(what)]
    named = set(re.findall(r"`(\w+)", row[1])) | set(re.findall(r"`(\w+)\(", row[1]))
    helpers = {"name_of", "address_of", "running", "restarted"}  # told in words there, whole in docs/plugins.md
    assert set(face_faults.face(room)) - helpers <= named
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    assert all(re.search(rf"\b{name}\b", page) for name in face_faults.face(room))


def test_every_kind_of_plug_in_has_a_face_that_its_shipped_modules_keep() -> None:
    shipped = Registry()
    assert shipped.broken() == ()
    for room in Room:
        for module in cast("dict[str, object]", shipped.usable(room)).values():
            assert all(hasattr(module, name) for name in face_faults.face(room))
