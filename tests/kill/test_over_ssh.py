"""Rows of the kill table at targets on another machine, by SSH: who dies there leaves a connection that is cut."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from kill.deaths import Deaths, rows_among
from kill.driver import Driver, driving, verify
from kill.table import OVER_SSH, SHORT_OVER_SSH, TABLE, Row, parameters
from ssh_servers import Sshd

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(600)]

ROWS = [row for row in TABLE if row.id in OVER_SSH]


@pytest.fixture(scope="module")
def up(sshd: Sshd) -> Iterator[Driver]:
    access = f"address: {sshd.address}, port: {sshd.port}, user: {sshd.user}, key: {sshd.folder / 'key'}"
    hosts = f"hosts:\n  web-1: {{ssh: {{{access}, known_hosts: {sshd.known_hosts}}}}}\n"
    services = [(row.id, "web-1", "") for row in ROWS]
    with tempfile.TemporaryDirectory(prefix="pk-") as folder, driving(Path(folder), services, hosts=hosts) as started:
        yield started


@pytest.fixture(scope="module")
def deaths(request: pytest.FixtureRequest, up: Driver) -> Deaths:
    return Deaths(up, rows_among(item for item in request.session.items if item.path == request.path))


@pytest.mark.parametrize("row", parameters(ROWS, short=SHORT_OVER_SSH, sentinels=()))
def test_killed_with_the_target_on_another_machine(deaths: Deaths, row: Row) -> None:
    deaths.judge(row)


def test_over_ssh_the_trail_verifies_and_each_act_went_by_it(up: Driver, sshd: Sshd) -> None:
    verify(up)
    assert sshd.log().count("Accepted publickey") >= len(SHORT_OVER_SSH)
