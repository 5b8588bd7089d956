"""Rows of the kill table on a stock Prefect `process` worker."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from kill.deaths import Deaths, rows_among
from kill.driver import Driver, driving, verify, wait_for
from kill.table import DEATHS, SHORT_AT_STOCK_WORKER, TABLE, Row, parameters

from paramedic.incidents.outcome import Ending
from paramedic.store import approvals

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(600)]

ROWS = [row for row in TABLE if row.id in DEATHS]

#: A stock worker needs its seconds before a run's first line.
STOCK = {
    "PARAMEDIC_WORK_POOL": "stock",
    "PARAMEDIC_WORK_POOL_TYPE": "process",
    "PARAMEDIC_CLAIM_WITHIN": "40s",
}


@pytest.fixture(scope="module")
def up() -> Iterator[Driver]:
    services = [(row.id, "web-1", "") for row in ROWS] + [("asked", "web-1", "")]
    with tempfile.TemporaryDirectory(prefix="pk-") as folder, driving(Path(folder), services, **STOCK) as started:
        started.break_it(started.service("asked"))
        started.send(started.alert(started.service("asked"), env="ask"))  # its person is asked while others die
        yield started


@pytest.fixture(scope="module")
def deaths(request: pytest.FixtureRequest, up: Driver) -> Deaths:
    return Deaths(up, rows_among(item for item in request.session.items if item.path == request.path))


@pytest.mark.parametrize("row", parameters(ROWS, short=SHORT_AT_STOCK_WORKER, sentinels=()))
def test_killed_on_a_stock_worker(deaths: Deaths, row: Row) -> None:
    deaths.judge(row)


def test_on_a_stock_worker_a_change_waits_for_its_person_and_is_made_once(up: Driver) -> None:
    service = up.service("asked")

    def suspended() -> bool:
        found = up.incidents_on(service)
        return bool(found) and [run["state_type"] for run in up.flow_runs(found[0])] == ["PAUSED"]

    wait_for("the suspended run", suspended, up.tick, seconds=120)
    assert service.starts == 1
    with up.store.record() as tx:
        asked = approvals.asked(tx, up.incidents_on(service)[0].number)
        assert asked is not None
        assert not isinstance(approvals.decide(tx, asked.id, granted=True, by="ada", how="command line"), str)
    incident = up.ended(service, seconds=180)
    assert (incident.ending, incident.attempt, service.starts) == (Ending.REMEDIATED, 1, 2), up.told_of(service)


def test_on_a_stock_worker_the_trail_verifies_and_nothing_was_lost(up: Driver) -> None:
    verify(up)
