"""One pool and one responder for all tests that do not end it: each start costs seconds."""

from collections.abc import Callable, Iterator

import pytest
from pool import Pool
from prefect_relay import Relay
from prefect_server import Prefect

#: It polls seldom: what is told is taken because it is told.
ENV = {"PREFECT_WORKER_QUERY_SECONDS": "20", "PARAMEDIC_WARM_PROCESSES": "2", "PARAMEDIC_RUN_MEMORY": "300MiB"}


@pytest.fixture(scope="session")
def relay(prefect: Prefect) -> Iterator[Relay]:
    """The shared responder's way to Prefect."""
    relay = Relay(prefect.port)
    yield relay
    relay.close()


@pytest.fixture(scope="session")
def serve(prefect: Prefect, relay: Relay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Pool]]:
    """Gives the shared pool, served by a responder: a new one where a test has ended the last."""
    shared = Pool(prefect, tmp_path_factory.mktemp("pool"))

    def served() -> Pool:
        if not shared.is_served:
            shared.start(PREFECT_API_URL=relay.api, **ENV)
        return shared

    yield served
    shared.close()


@pytest.fixture
def pool(serve: Callable[[], Pool]) -> Pool:
    """The shared pool, served."""
    return serve()
