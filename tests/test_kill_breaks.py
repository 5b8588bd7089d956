"""Each break of the kill table still finds the line that it breaks: one that finds nothing would prove nothing."""

from pathlib import Path

import pytest
from kill.breaks import BREAKS, Break

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("fault", BREAKS, ids=lambda fault: fault.name)
def test_what_a_break_changes_stands_there_once(fault: Break) -> None:
    for file, before, after in fault.edits:
        assert (ROOT / file).read_text().count(before) == 1, f"{file}: {before}"
        assert before != after
