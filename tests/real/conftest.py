"""A systemd for the tests of one module, the units of one test, and both ways to a machine."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from databases import Postgres
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


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at a database has the time of a busy machine."""
    from postgres_sessions import PATIENCE  # psycopg: only who asks for it pays

    from paramedic.integrations.targets import postgres
    from paramedic.kinds import evidence

    monkeypatch.setattr(postgres, "LOOK", PATIENCE)
    monkeypatch.setattr(evidence, "_USUAL_SECONDS", PATIENCE.total_seconds())


@pytest.fixture(scope="session")
def server(postgres: Postgres) -> Postgres:
    """A PostgreSQL with the roles of applications, and Paramedic's own."""
    from postgres_sessions import ROLES

    postgres.run(ROLES)
    return postgres


@pytest.fixture
def sessions(server: Postgres) -> Iterator[Any]:
    """Those of one database (`postgres_sessions.Sessions`)."""
    from postgres_sessions import Sessions

    with ExitStack() as stack:
        made = Sessions(server, stack)
        yield made
    server.run(f"DROP DATABASE {made.database} WITH (FORCE)")


@pytest.fixture(scope="session")
def image(require: Callable[[str], str]) -> Iterator[Any]:
    """A podman of the tests' own that has the image of deployments/container (`built_image.Engine`)."""
    from built_image import built

    with built(require) as engine:
        yield engine
