"""The gateway as a process: slow senders, many at once, a locked store, an order to stop, a SIGKILL."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import uvicorn
from databases import migrated
from pydantic import SecretStr
from waiting import until

from paramedic.demo.world import free_port
from paramedic.gateway.app import make_app
from paramedic.intake.intake import Wake
from paramedic.machine.parent_death import command
from paramedic.settings import Settings
from paramedic.store import Store
from paramedic.store.tables import inbox

TOKEN = "a-token-of-this-test"
AUTH = {"Authorization": f"Bearer {TOKEN}"}
RUNBOOKS = Path(__file__).parents[2] / "runbooks"


@dataclass
class Gateway:
    """A running one, and its store as another process sees it."""

    port: int
    data: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, client: httpx.Client, name: str = "A") -> httpx.Response:
        return client.post(f"{self.url}/alerts/alertmanager", content=_body(name), headers=AUTH)

    def receipts(self) -> set[str]:
        store = Store(f"sqlite:///{self.data}/paramedic.db")
        with store.read() as tx:
            kept = set(tx.conn.execute(inbox.select().with_only_columns(inbox.c.receipt)).scalars())
        store.close()
        return kept

    def log(self) -> str:
        return (self.data / "log").read_text()


def _body(name: str) -> bytes:
    labels = {"alertname": name, "severity": "critical"}
    return json.dumps({"alerts": [{"labels": labels, "status": "firing", "startsAt": "2026-01-31T09:30:00Z"}]}).encode()


def _client(**limits: int) -> httpx.Client:
    """A sender, for plain HTTP: reading certificates that nobody needs would take longer than most requests."""
    return httpx.Client(timeout=60, trust_env=False, verify=False, limits=httpx.Limits(**limits))


def _ready(port: int) -> bool:
    try:
        with _client() as client:
            return client.get(f"http://127.0.0.1:{port}/readyz", timeout=5).is_success
    except httpx.TransportError:
        return False


#: The gateway that waits less: a second for SQLite's lock, and for requests that have begun when it is told to stop.
IMPATIENT = """
from datetime import timedelta
import paramedic.store
paramedic.store.LOCK_WAIT = timedelta(seconds=1)
import paramedic.gateway.server
paramedic.gateway.server.REQUESTS_SECONDS = 1
from paramedic.gateway.__main__ import main
main()
"""


@contextlib.contextmanager
def _started(data: Path, *argv: str) -> Iterator[Gateway]:
    migrated(data / "paramedic.db")
    port = free_port()
    env = dict(os.environ) | {
        "PARAMEDIC_DATA": str(data),
        "PARAMEDIC_PORT": str(port),
        "PARAMEDIC_RUNBOOKS": str(RUNBOOKS),
        "PARAMEDIC_BODY_LIMIT": "10000",
        "PARAMEDIC_GATEWAY_TOKENS": json.dumps({"prometheus": TOKEN}),
    }
    with (data / "log").open("wb") as log:
        process = subprocess.Popen(
            command([sys.executable, *(argv or ("-m", "paramedic.gateway"))]), env=env, stdout=log, stderr=log
        )
    try:
        until("the gateway", lambda: _ready(port))
        yield Gateway(port, data, process)
    finally:
        process.kill()
        process.wait(10)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One that goes on: a start takes three seconds of a core."""
    with _started(tmp_path_factory.mktemp("gateway"), "-c", IMPATIENT) as gateway:
        yield gateway


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Gateway]:
    """One that the test may end."""
    with _started(tmp_path) as gateway:
        yield gateway


def _begin(port: int, *more: str, auth: str = f"Bearer {TOKEN}") -> socket.socket:
    """A request whose body has yet to come."""
    lines = ["POST /alerts/alertmanager HTTP/1.1", "Host: localhost", f"Authorization: {auth}", *more, "", ""]
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall("\r\n".join(lines).encode())
    return connection


def _status(connection: socket.socket) -> int:
    return int(connection.recv(4096).split()[1])


def test_a_stranger_is_refused_before_a_byte_of_the_body_was_sent(gateway: Gateway) -> None:
    with _begin(gateway.port, "Content-Length: 500", auth="Bearer wrong") as connection:
        assert _status(connection) == 401


def test_a_body_without_a_length_is_413_at_the_limit_and_not_at_its_end(gateway: Gateway) -> None:
    with _begin(gateway.port, "Transfer-Encoding: chunked") as connection:
        connection.sendall((b"%x\r\n" % 4000 + b"x" * 4000 + b"\r\n") * 3)
        assert _status(connection) == 413


def test_slow_senders_keep_nobody_from_a_202_and_one_who_goes_away_leaves_no_traceback(gateway: Gateway) -> None:
    with contextlib.ExitStack() as slow, _client() as client:
        for number in range(200):
            connection = slow.enter_context(_begin(gateway.port, "Content-Length: 500"))
            connection.sendall(b"{" * (number % 2))
        assert gateway.post(client).status_code == 202
    with _client() as client:
        assert gateway.post(client).status_code == 202
    assert "Traceback" not in gateway.log()


def test_fifty_at_once_over_four_connections_are_fifty_receipts_on_disk(gateway: Gateway) -> None:
    before = gateway.receipts()
    with _client(max_connections=4) as client, ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda number: gateway.post(client, f"A{number}"), range(50)))
    assert {answer.status_code for answer in answers} == {202}
    kept = gateway.receipts() - before
    assert {answer.json()["receipts"][0] for answer in answers} == kept
    assert len(kept) == 50


def test_what_got_its_202_outlives_a_sigkill(mortal: Gateway) -> None:
    with _client() as client:
        answer = mortal.post(client)
    mortal.process.kill()
    mortal.process.wait(10)
    assert set(answer.json()["receipts"]) == mortal.receipts()


def test_while_the_store_is_locked_the_gateway_is_alive_and_promises_nothing(gateway: Gateway) -> None:
    before = gateway.receipts()
    other = sqlite3.connect(gateway.data / "paramedic.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with _client() as client, ThreadPoolExecutor(60) as threads:
        waiting = [threads.submit(gateway.post, client, f"A{number}") for number in range(60)]
        while not any(post.done() for post in waiting):
            began = time.monotonic()
            assert client.get(f"{gateway.url}/healthz").status_code == 200
            assert time.monotonic() - began < 2, "the watchdog would call it dead"
        assert {post.result().status_code for post in waiting if post.done()} == {503}
        other.execute("ROLLBACK")
        taken = [post.result() for post in waiting if post.result().status_code == 202]
        taken.append(gateway.post(client))
    other.close()
    assert {answer.json()["receipts"][0] for answer in taken} == gateway.receipts() - before


def test_told_to_stop_it_takes_no_more_finishes_what_it_began_and_ends_with_0(mortal: Gateway) -> None:
    body = _body("late")
    with _begin(mortal.port, f"Content-Length: {len(body)}") as connection:
        connection.sendall(body[:10])
        with _client() as client:
            assert mortal.post(client).status_code == 202  # the one that is begun was read before
        mortal.process.send_signal(signal.SIGTERM)
        until("it takes no more", lambda: not _ready(mortal.port))
        connection.sendall(body[10:])
        assert _status(connection) == 202
    assert mortal.process.wait(10) == 0
    assert len(mortal.receipts()) == 2


def test_told_to_stop_it_waits_for_no_slow_sender_for_ever(tmp_path: Path) -> None:
    with _started(tmp_path, "-c", IMPATIENT) as gateway, _begin(gateway.port, "Content-Length: 500"):
        with _client() as client:
            assert gateway.post(client).status_code == 202
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(10) == 0


def test_a_body_that_does_not_come_is_408(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, gateway_tokens={"prometheus": SecretStr(TOKEN)})
    store = Store(migrated(tmp_path / "paramedic.db"))
    app = make_app(settings, store, wake=Wake(), alive=lambda: True, body_timeout=timedelta(milliseconds=300))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        with _begin(listening.getsockname()[1], "Content-Length: 500") as connection:
            connection.sendall(b"{")
            assert _status(connection) == 408
        server.should_exit = True
        thread.join(10)
    store.close()
