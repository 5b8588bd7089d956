"""docs/operators.md names the events that Paramedic sends, and none that it does not: automations are built on them."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "operators.md").read_text().partition("| event | when |\n")[2].partition("\n\n")[0]


def _named() -> list[str]:
    """Each event of the table, in full: `paramedic.act.done`, `.failed` are two."""
    found = []
    for row in TABLE.split("\n")[1:]:
        family = ""
        for name in re.findall(r"`([^`]+)`", row.split("|")[1]):
            family = name.rpartition(".")[0] if name.startswith("paramedic.") else family
            found.append(name if name.startswith("paramedic.") else family + name)
    return found


def _written() -> set[str]:
    """Every constant text of the code, also the parts of one that is put together."""
    trees = [ast.parse(path.read_text()) for room in ("paramedic", "tasks") for path in (ROOT / room).rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {node.value for node in nodes if isinstance(node.value, str)}


WRITTEN = _written()


def test_the_table_is_read() -> None:
    assert {"paramedic.incident.opened", "paramedic.act.failed", "paramedic.news.…"} <= set(_named())


@pytest.mark.parametrize("event", _named())
def test_an_event_of_the_table_is_one_that_the_trail_has(event: str) -> None:
    """Its word is written in one piece, or is one of a family whose first part, or whose two parts, are."""
    what = event.removeprefix("paramedic.").removesuffix("…")
    family, _, last = what.partition(".")
    whole = what in WRITTEN or f"{family}." in WRITTEN
    assert whole or ("." not in last and {family, last or "told"} <= WRITTEN), f"nothing on the trail is called {what}"
