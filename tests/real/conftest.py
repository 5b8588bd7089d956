"""Real servers for the tests of one module: a systemd, with the units of one test, and an SSH server."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from systemd_container import PidOne
from systemd_units import Units, systemd


@pytest.fixture(scope="module")
def pid_one(require: Callable[[str], str]) -> Iterator[PidOne]:
    with systemd(require) as running:
        yield running


@pytest.fixture
def units(pid_one: PidOne) -> Iterator[Units]:
    made = Units(pid_one)
    yield made
    made.end()


@pytest.fixture(scope="module")
def sshd(require: Callable[[str], str]) -> Iterator[Any]:
    """An OpenSSH server (`ssh_servers.Sshd`)."""
    from ssh_servers import running  # paramiko: only who asks for it pays

    with running(require) as server:
        yield server
