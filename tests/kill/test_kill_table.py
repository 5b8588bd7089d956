"""SIGKILL of everybody, at every boundary: the right outcome stands in table.py."""

import pytest
from kill.driver import Ward, verify
from kill.play import play
from kill.table import PLAYED, Row

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(240)]


ROWS = [row for row in PLAYED if row.story == "restart"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_killed_at_a_boundary(whole: Ward, row: Row) -> None:
    play(whole, row)


def test_after_all_rows_the_trail_verifies_and_nothing_was_lost(whole: Ward) -> None:
    verify(whole)
