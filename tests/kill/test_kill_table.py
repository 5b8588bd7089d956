"""SIGKILL of everybody, at every boundary: the right outcome stands in table.py."""

import pytest
from kill.deaths import Deaths
from kill.driver import Ward, verify
from kill.table import PLAYED, Row

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(600)]


ROWS = [row for row in PLAYED if row.story == "restart"]
SERVICES = [(row.id, "web-1", "") for row in ROWS]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_killed_at_a_boundary(deaths: Deaths, row: Row) -> None:
    deaths.judge(row)


def test_after_all_rows_the_trail_verifies_and_nothing_was_lost(whole: Ward) -> None:
    verify(whole)
