"""A face asks for nothing that nobody uses: each of its parts is something that Paramedic asks a plug-in for."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from paramedic.kinds import face_faults

ROOT = Path(__file__).parents[2]

PARTS = sorted(
    {
        (room, name)
        for offered in (face_faults._FACES, face_faults._OPTIONAL)
        for room in offered
        for name in offered[room]
    }
)


def asked_for() -> Iterator[str]:
    """Every name that the product takes of some object, outside of the plug-ins themselves and of their declaration."""
    for path in (*(ROOT / "paramedic").rglob("*.py"), *(ROOT / "tasks").rglob("*.py")):
        if path.name in {"faces.py", "face_faults.py"} or {"integrations", "sources"} & set(path.parts):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Attribute(attr=name):
                    yield name
                case ast.Call(func=ast.Name(id="getattr" | "hasattr"), args=[_, ast.Constant(value=str(name)), *_]):
                    yield name
                case ast.Call(func=ast.Name(id="integration"), args=[_, _, ast.Constant(value=str(name))]):
                    yield name  # the doors' way to a class of a plug-in


@pytest.fixture(scope="module")
def asked() -> set[str]:
    return set(asked_for())


@pytest.mark.parametrize(("room", "name"), PARTS, ids=[".".join(part) for part in PARTS])
def test_each_part_of_a_face_is_asked_for(room: str, name: str, asked: set[str]) -> None:
    assert name in asked
