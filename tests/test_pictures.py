"""The pictures of docs/operators.md: each one is there, is shown, and is small."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_every_picture_is_shown_and_small() -> None:
    shown = re.findall(r"!\[[^]]+\]\((pictures/[^)]+)\)", (DOCS / "operators.md").read_text())
    assert sorted(shown) == sorted(str(file.relative_to(DOCS)) for file in (DOCS / "pictures").iterdir())
    sizes = [(DOCS / file).stat().st_size for file in shown]
    assert max(sizes) < 150_000
    assert sum(sizes) < 1_000_000
