"""`paramedic up --only`: a machine that has some of the roles starts these alone, and says what it needs of the others."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from paramedic.demo.world import free_port
from paramedic.errors import PermanentError
from paramedic.settings import Settings, load_settings
from paramedic.stack.elsewhere import checked
from paramedic.stack.stack import Stack
from paramedic.store.running_processes import ROLES

SHARED = {
    "prefect_api_url": "http://prefect.invalid/api",
    "gateway_tokens": {"alertmanager": "a-token-of-this-test-alone"},
    "gateway_url": "http://gateway.invalid",
}


@pytest.fixture
def shared(tmp_path: Path, store_url: str) -> Settings:
    """What every machine is given alike."""
    return load_settings(data=tmp_path / "data", store_url=store_url, link_key_file=tmp_path / "link.key", **SHARED)


@pytest.fixture
def backend() -> str:
    return "sqlite"


@pytest.fixture
def stack(request: pytest.FixtureRequest, shared: Settings) -> Iterator[Stack]:
    stack = Stack(shared, request.param)
    stack.start()
    yield stack
    stack.stop()


@pytest.mark.usefixtures("_nothing_set", "small")
@pytest.mark.parametrize("stack", [["gateway"], ["dispatch", "responder"], ["watchdog"], list(ROLES)], indirect=True)
def test_those_are_started_and_no_prefect(stack: Stack, request: pytest.FixtureRequest) -> None:
    asked = request.node.callspec.params["stack"]
    assert set(stack.pids()) == set(asked)
    has_keys = (stack.settings.data / "signing.key").exists()
    assert has_keys is ("watchdog" in asked), "who signs nothing has no key to lose"


@pytest.mark.usefixtures("_nothing_set", "small")
def test_one_without_a_gateway_needs_no_port_of_one(shared: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        shared.port = other.getsockname()[1]
        stack = Stack(shared, ["watchdog"])
        stack.start()
        stack.stop()


@pytest.mark.usefixtures("_nothing_set", "small")
def test_only_the_metrics_of_what_runs_here_are_given_a_port(shared: Settings) -> None:
    shared.metrics_port = free_port()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", shared.metrics_port))  # the watchdog's
        other.listen()
        stack = Stack(shared, ["gateway"])
        stack.start()
        stack.stop()
        stack = Stack(shared, ["watchdog"])
        with pytest.raises(PermanentError, match="the watchdog's /metrics"):
            stack.start()
        stack.stop()


@pytest.mark.usefixtures("_nothing_set")
@pytest.mark.parametrize(
    ("only", "without", "needed"),
    [
        (["gateway"], "prefect_api_url", "PARAMEDIC_PREFECT_API_URL"),
        (["responder"], "store_url", "PARAMEDIC_STORE_URL"),
        (["gateway"], "gateway_tokens", "PARAMEDIC_GATEWAY_TOKENS"),
        (["watchdog"], "gateway_url", "PARAMEDIC_GATEWAY_URL"),
        (["responder"], "link_key_file", "PARAMEDIC_LINK_KEY_FILE"),
    ],
)
def test_what_the_machines_must_share_is_asked_for(
    shared: Settings, only: list[str], without: str, needed: str
) -> None:
    assert checked(only, shared) == set(only)
    setattr(shared, without, {} if without == "gateway_tokens" else None)
    with pytest.raises(PermanentError, match=f"--only {only[0]} needs {needed}"):
        checked(only, shared)


@pytest.mark.usefixtures("_nothing_set")
@pytest.mark.parametrize("only", [["gatway"], ["gateway", "prefect"], [], [""]])
def test_what_is_no_role_is_refused_with_those_that_there_are(shared: Settings, only: list[str]) -> None:
    with pytest.raises(PermanentError, match="there are gateway, dispatch, responder, watchdog"):
        checked(only, shared)
