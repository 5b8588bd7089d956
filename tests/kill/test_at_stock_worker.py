"""The kill table's sentinels on a stock Prefect `process` worker."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from kill.driver import Ward, play, verify, ward
from kill.table import SENTINELS, Row

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(300), pytest.mark.xdist_group("kill-stock")]

#: A stock worker needs its seconds before a run's first line.
STOCK = {
    "PARAMEDIC_WORK_POOL": "stock",
    "PARAMEDIC_WORK_POOL_TYPE": "process",
    "PARAMEDIC_CLAIM_WITHIN": "40s",
}


@pytest.fixture(scope="module")
def up() -> Iterator[Ward]:
    services = [(row.id, "web-1", "") for row in SENTINELS]
    with tempfile.TemporaryDirectory(prefix="pk-") as folder, ward(Path(folder), services, **STOCK) as started:
        yield started


@pytest.mark.parametrize("row", SENTINELS, ids=lambda row: row.id)
def test_killed_on_a_stock_worker(up: Ward, row: Row) -> None:
    play(up, row)


def test_on_a_stock_worker_the_trail_verifies_and_nothing_was_lost(up: Ward) -> None:
    verify(up)
