"""Rows of the kill table with the store and the Prefect server on PostgreSQL."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import Postgres
from kill.deaths import Deaths, rows_among
from kill.driver import Driver, driving, verify
from kill.table import DEATHS, SHORT_AT_POSTGRESQL, TABLE, Row, parameters

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(600)]

ROWS = [row for row in TABLE if row.id in DEATHS]


@pytest.fixture(scope="module")
def up(postgres: Postgres) -> Iterator[Driver]:
    postgres.run("CREATE DATABASE kill_table")
    postgres.run("CREATE DATABASE prefect")
    env = {
        "PARAMEDIC_STORE_URL": postgres.url("kill_table"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": postgres.url("prefect").replace("postgresql:", "postgresql+asyncpg:"),
    }
    services = [(row.id, "web-1", "") for row in ROWS]
    with (
        tempfile.TemporaryDirectory(prefix="pk-") as folder,
        driving(Path(folder), services, **env) as started,
    ):
        yield started


@pytest.fixture(scope="module")
def deaths(request: pytest.FixtureRequest, up: Driver) -> Deaths:
    return Deaths(up, rows_among(item for item in request.session.items if item.path == request.path))


@pytest.mark.parametrize("row", parameters(ROWS, short=SHORT_AT_POSTGRESQL, sentinels=()))
def test_killed_with_the_store_on_postgresql(deaths: Deaths, row: Row) -> None:
    deaths.judge(row)


def test_on_postgresql_the_trail_verifies_and_nothing_was_lost(up: Driver, postgres: Postgres) -> None:
    verify(up)
    assert postgres.run("SELECT count(*) FROM flow_run", "prefect")[0][0] >= len(SHORT_AT_POSTGRESQL)
