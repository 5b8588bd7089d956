"""However many connections somebody without a token opens, and whatever drips through them, those who send alerts get in."""

import contextlib
import json
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from serving import AUTH, connect, exchange, read_all, read_one, serving, status

from paramedic.serving import connections
from paramedic.serving.connections import Door

BODY = json.dumps(
    {"alerts": [{"labels": {"alertname": "A"}, "status": "firing", "startsAt": "2026-01-31T09:30:00Z"}]}
).encode()
POST = f"POST /alerts/alertmanager HTTP/1.1\r\nHost: localhost\r\n{AUTH}\r\nContent-Length: {len(BODY)}\r\n".encode()
HALF = b"GET /healthz HTTP/1.1\r\nHost: loc"


def _send(port: int) -> int:
    """An alert over a connection of its own."""
    return status(exchange(port, POST + b"Connection: close\r\n\r\n" + BODY))


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    with serving(tmp_path) as (number, _, _):
        yield number


@pytest.fixture
def room_for_files() -> Iterator[None]:
    """Room for the test's own ends of many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("first", "files", "count"),
    [(b"", 1024, 1300), (HALF, 640, 400), (b"GET", 640, 400), (b"\r\n", 640, 400)],
    ids=["silent", "half a head", "half a line", "an empty line"],
)
@pytest.mark.usefixtures("room_for_files")
def test_half_open_connections_keep_no_sender_from_a_202(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bytes, files: int, count: int
) -> None:
    monkeypatch.setattr("paramedic.gateway.server.raise_file_limit", lambda: files)
    before = psutil.Process().num_fds()
    with serving(tmp_path) as (port, _, _), contextlib.ExitStack() as open_:
        for _ in range(count):
            connection = open_.enter_context(connect(port))
            with contextlib.suppress(ConnectionError):
                connection.sendall(first)
        mine = psutil.Process().num_fds() - before
        assert mine - count < files // 2, "its own ends are far fewer than the file limit"
        for _ in range(20):
            began = time.monotonic()
            assert _send(port) == 202
            assert time.monotonic() - began < 5


@pytest.mark.usefixtures("room_for_files")
def test_a_connection_with_a_token_gives_way_to_no_strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paramedic.gateway.server.raise_file_limit", lambda: 560)
    with serving(tmp_path) as (port, _, _), contextlib.ExitStack() as open_:
        known = open_.enter_context(connect(port))
        known.sendall(POST + b"\r\n" + BODY)
        assert status(read_one(known)) == 202
        for _ in range(200):
            open_.enter_context(connect(port)).sendall(HALF)
        known.sendall(POST + b"\r\n" + BODY)
        assert status(read_one(known)) == 202


def test_the_address_that_has_most_strangers_makes_room() -> None:
    class Connection:
        loop = type("Loop", (), {"call_later": lambda *_: None})

        def __init__(self, address: str) -> None:
            self.address, self.dropped = address, False

        def drop(self) -> None:
            self.dropped = True
            door.leave(self)  # type: ignore[arg-type]

    door = Door(0)
    lonely = Connection("192.0.2.1")
    many = [Connection("198.51.100.7") for _ in range(100)]
    for connection in (lonely, *many):
        door.enter(connection)  # type: ignore[arg-type]
    assert not lonely.dropped
    assert [connection.dropped for connection in many] == [True] * 85 + [False] * 15, (
        "the oldest go, and one stays for each that may"
    )


@pytest.mark.parametrize(
    ("drip", "answer"),
    [
        (b"", b""),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ", b"HTTP/1.1 408 "),
        (b"GET /hea", b"HTTP/1.1 408 "),
        (b"\r\n", b"HTTP/1.1 408 "),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nHost: ", b"HTTP/1.1 200 "),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n", b"HTTP/1.1 200 "),
        (b"POST /alerts/alertmanager HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n", b"HTTP/1.1 401 "),
    ],
    ids=["silent", "a head", "a line", "an empty line", "a second head", "a body of a GET", "a strangers body"],
)
def test_what_drips_ends_in_time(port: int, monkeypatch: pytest.MonkeyPatch, drip: bytes, answer: bytes) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1.0)
    began = time.monotonic()
    with connect(port) as connection:
        connection.sendall(drip)
        stop = threading.Event()

        def more() -> None:
            with contextlib.suppress(OSError):
                while drip and not stop.wait(0.2):
                    connection.sendall(b"a")

        dripping = threading.Thread(target=more)
        dripping.start()
        received = read_all(connection)
        stop.set()
        dripping.join(10)
    assert received.startswith(answer)
    assert time.monotonic() - began < 15


def test_an_idle_connection_ends(tmp_path: Path) -> None:
    with serving(tmp_path, idle_seconds=1) as (port, _, _), connect(port) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status(read_all(connection)) == 200, "it ends without being asked to"


@pytest.mark.parametrize(
    "endless",
    [b"X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", b"a", b"\x20", b"X: a\r\nX"],
    ids=["fields", "one value", "spaces", "many"],
)
def test_a_head_without_an_end_is_431_and_held_nowhere(port: int, endless: bytes) -> None:
    with connect(port) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nY: ")
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 50_000_000:
                connection.sendall(endless * 1000)
                sent += len(endless) * 1000
        with contextlib.suppress(socket.timeout):
            assert status(read_all(connection)) in (400, 431, 0)
        assert sent < 20_000_000, "it ended long before"


def test_many_requests_over_one_connection_are_each_answered(port: int) -> None:
    with connect(port) as connection:
        for number in range(200):
            connection.sendall(
                POST + b"\r\n" + BODY if number % 2 else b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
            )
            assert status(read_one(connection)) == (202 if number % 2 else 200)


def test_requests_that_are_sent_at_once_are_answered_in_their_order(port: int) -> None:
    first = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = exchange(port, first + POST + b"\r\n" + BODY + first + last)
    assert [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]] == [200, 202, 200, 404]
