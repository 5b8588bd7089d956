"""SIGKILL of everybody, at every boundary: the right outcome stands in table.py."""

import pytest
from kill.deaths import Deaths
from kill.driver import Driver, verify
from kill.table import TABLE, Row, parameters

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(600)]


ROWS = [row for row in TABLE if row.story == "restart"]


@pytest.mark.parametrize("row", parameters(ROWS))
def test_killed_at_a_boundary(deaths: Deaths, row: Row) -> None:
    deaths.judge(row)


@pytest.mark.sentinel
def test_after_all_rows_the_trail_verifies_and_nothing_was_lost(whole: Driver) -> None:
    verify(whole)
