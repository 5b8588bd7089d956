"""The whole plug-ins of docs/plugins.md, as its readers copy them."""

import ast
import re
from pathlib import Path

from paramedic.kinds import face_faults
from paramedic.kinds.registry import Room

PAGE = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The page's blocks of code in this language, in their order."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def room(block: str) -> Room:
    """Whose face the block has."""
    defined = set()
    for node in ast.parse(block).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Assign):
            defined |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    [found] = [room for room in Room if set(face_faults.face(room)) <= defined]
    return found


#: The example of each kind of plug-in.
EXAMPLES = {room(block): block for block in blocks("python")}
