"""A port of ours is ours from the start of `up` to its end, whichever of its processes listens there or died."""

import contextlib
import socket
from collections.abc import Iterator

import pytest
from port_squatter import Squatter

from paramedic.machine import parent_death, ports

pytestmark = [
    pytest.mark.usefixtures("as_root"),
    pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="this system keeps no users apart"),
]


@pytest.fixture
def held() -> Iterator[ports.Held]:
    kept = ports.demand("127.0.0.1", 0, who="a test", setting="NONE")
    yield kept
    kept.release()


@pytest.fixture
def _under_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(parent_death.VARIABLE, "1")


def test_while_nobody_listens_no_other_user_can(held: ports.Held) -> None:
    with Squatter(held.port) as squatter:
        pass
    assert not squatter.got_it
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", held.port), timeout=5)


@pytest.mark.usefixtures("_under_up")
def test_a_process_of_ours_listens_ends_and_listens_again(held: ports.Held) -> None:
    with Squatter(held.port) as squatter:
        for _ in range(5):
            [listener] = ports.listening_sockets("127.0.0.1", held.port)
            with contextlib.closing(listener):
                listener.listen()
                with socket.create_connection(("127.0.0.1", held.port), timeout=5) as client:
                    accepted, _ = listener.accept()
                    accepted.close()  # first: so the connection's end lies with the server's port
                    assert client.recv(1) == b""
    assert not squatter.got_it


def test_what_is_held_is_taken_for_the_next_up_and_free_afterwards(held: ports.Held) -> None:
    with pytest.raises(ports.PortTaken, match=f"port {held.port}"):
        ports.demand("127.0.0.1", held.port, who="another", setting="NONE")
    held.release()
    ports.demand("127.0.0.1", held.port, who="another", setting="NONE").release()
    with Squatter(held.port) as squatter:
        pass
    assert squatter.got_it


def test_a_host_with_several_addresses_is_listened_to_at_each() -> None:
    port = ports.demand("localhost", 0, who="a test", setting="NONE")
    port.release()
    listening = ports.listening_sockets("localhost", port.port)
    try:
        expected = {found[4][0] for found in socket.getaddrinfo("localhost", port.port, type=socket.SOCK_STREAM)}
        assert {listener.getsockname()[0] for listener in listening} == expected
    finally:
        for listener in listening:
            listener.close()
