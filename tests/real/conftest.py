"""A systemd for the tests of one module, the units of one test, and both ways to a machine."""

from collections.abc import Callable, Iterator

import pytest
from systemd_container import PidOne
from systemd_units import Units, systemd

from paramedic.kinds.transport import Transport
from paramedic.transports.local import Local


@pytest.fixture(scope="module")
def pid_one(require: Callable[[str], str]) -> Iterator[PidOne]:
    with systemd(require) as running:
        yield running


@pytest.fixture
def units(pid_one: PidOne) -> Iterator[Units]:
    made = Units(pid_one)
    yield made
    made.end()


@pytest.fixture(params=["local", "ssh"])
def there(request: pytest.FixtureRequest) -> Transport:
    """This machine: as it is, and by SSH."""
    if request.param == "local":
        return Local()
    by_ssh: Transport = request.getfixturevalue("sshd").transport()
    return by_ssh


@pytest.fixture
def nothing_warm() -> Iterator[None]:
    """No connection by SSH outlives the test."""
    from paramedic.transports import ssh_connection  # paramiko: only who asks for it pays

    yield
    ssh_connection.close_all()
