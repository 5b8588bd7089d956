"""The embedded server lets few calls write at a time, and first those that an outage waits for."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from paramedic.stack import prefect_write_queue
from paramedic.stack.prefect_write_queue import WriteQueue

STATE = "/flow_runs/0a0a0a0a-0000-0000-0000-000000000000/set_state"
RUNNING = b'{"state": {"type": "RUNNING"}}'
COMPLETED = b'{"state": {"type": "COMPLETED"}}'


class Server:
    """An application whose calls end when the test says so."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.bodies: list[bytes] = []
        self.go: dict[str, asyncio.Event] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.began.append(scope["path"])
        if scope["path"] == STATE:
            parts = [await receive(), await receive()]
            self.bodies.append(b"".join(part["body"] for part in parts))
        await self.go.setdefault(scope["path"], asyncio.Event()).wait()

    def end(self, path: str) -> None:
        self.go.setdefault(path, asyncio.Event()).set()


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def _calls(queue: WriteQueue, *paths: str, method: str = "POST", body: bytes = RUNNING) -> list[asyncio.Task[None]]:
    """Each with the body, in two parts."""

    async def nothing(*_: Any) -> None: ...

    made = []
    for path in paths:
        parts = iter([(body[:20], True), (body[20:], False)])

        async def receive(parts: Iterator[tuple[bytes, bool]] = parts) -> Any:
            part, more = next(parts)
            return {"type": "http.request", "body": part, "more_body": more}

        scope = {"type": "http", "method": method, "path": path}
        made.append(asyncio.create_task(queue(scope, receive, nothing)))
    return made


@pytest.fixture(autouse=True)
def two_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefect_write_queue, "_AT_ONCE", 2)


def test_few_write_at_a_time_and_who_begins_goes_before_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefect_write_queue, "_LULL_SECONDS", 0.0)

    async def tried() -> None:
        server = Server()
        queue = WriteQueue(server)
        calls = _calls(queue, "/a", "/b", "/logs/", STATE, "/y/create_flow_run")
        await _settle()
        assert server.began == ["/a", "/b"]
        for path in ("/a", STATE, "/b", "/y/create_flow_run", "/logs/"):
            server.end(path)
            await _settle()
        await asyncio.gather(*calls)
        assert server.began == ["/a", "/b", STATE, "/y/create_flow_run", "/logs/"]

    asyncio.run(tried())


def test_who_only_reads_waits_for_nobody() -> None:
    async def tried() -> None:
        server = Server()
        queue = WriteQueue(server)
        calls = _calls(queue, "/a", "/b", "/c") + _calls(queue, "/read", method="GET")
        await _settle()
        assert server.began == ["/a", "/b", "/read"]
        for path in ("/a", "/b", "/c", "/read"):
            server.end(path)
        await asyncio.gather(*calls)

    asyncio.run(tried())


def test_clients_that_stand_still_keep_nobody_out_and_no_turn_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefect_write_queue, "_TURN_SECONDS", 0.05)

    async def tried() -> None:
        server = Server()
        queue = WriteQueue(server)
        stuck = _calls(queue, "/stuck-1", "/stuck-2")
        await _settle()
        late = _calls(queue, "/late")
        await asyncio.sleep(0.2)
        assert server.began == ["/stuck-1", "/stuck-2", "/late"]
        for path in ("/stuck-1", "/stuck-2", "/late"):
            server.end(path)
        await asyncio.gather(*stuck, *late)
        after = _calls(queue, "/after")
        server.end("/after")
        await asyncio.wait_for(asyncio.gather(*after), 1)

    asyncio.run(tried())


def test_a_client_that_goes_away_while_it_waits_leaves_the_way_free() -> None:
    async def tried() -> None:
        server = Server()
        queue = WriteQueue(server)
        inside = _calls(queue, "/a", "/b")
        await _settle()
        (gone,) = _calls(queue, "/gone")
        (waits,) = _calls(queue, "/waits")
        await _settle()
        gone.cancel()
        await _settle()
        server.end("/a")
        server.end("/waits")
        await asyncio.wait_for(waits, 1)
        server.end("/b")
        await asyncio.gather(*inside)
        assert server.began == ["/a", "/b", "/waits"]

    asyncio.run(tried())


def test_while_runs_begin_nothing_else_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefect_write_queue, "_LULL_SECONDS", 0.3)

    async def tried() -> None:
        server = Server()
        queue = WriteQueue(server)
        for path in ("/y/create_flow_run", STATE, "/artifacts/"):
            server.end(path)
        await asyncio.gather(*_calls(queue, "/y/create_flow_run"))
        calls = _calls(queue, "/artifacts/") + _calls(queue, STATE, body=COMPLETED)
        await asyncio.gather(*_calls(queue, STATE))
        assert (server.began, server.bodies) == (["/y/create_flow_run", STATE], [RUNNING])
        await asyncio.wait_for(asyncio.gather(*calls), 5)
        assert (sorted(server.began[2:]), server.bodies[1:]) == (["/artifacts/", STATE], [COMPLETED])

    asyncio.run(tried())


@pytest.mark.parametrize("path", [STATE, "/flow_runs/0a/resume"])
def test_an_operator_who_cancels_or_approves_waits_for_no_storm(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(prefect_write_queue, "_LULL_SECONDS", 60)

    async def tried() -> None:
        server = Server()
        queue = WriteQueue(server)
        server.end("/y/create_flow_run")
        server.end(path)
        await asyncio.gather(*_calls(queue, "/y/create_flow_run"))
        calls = _calls(queue, path, body=b'{"state": {"name": "Cancelling", "type": "CANCELLING"}}')
        await asyncio.wait_for(asyncio.gather(*calls), 5)

    asyncio.run(tried())


def test_a_lull_lasts_from_the_end_of_a_creation_however_long_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only then its process can say that it runs."""
    monkeypatch.setattr(prefect_write_queue, "_LULL_SECONDS", 0.2)

    async def tried() -> None:
        server = Server()
        queue = WriteQueue(server)
        server.end("/artifacts/")
        creation = _calls(queue, "/y/create_flow_run")
        await asyncio.sleep(0.25)  # longer than the lull
        server.end("/y/create_flow_run")
        await asyncio.gather(*creation)
        calls = _calls(queue, "/artifacts/")
        await _settle()
        assert server.began == ["/y/create_flow_run"]
        await asyncio.wait_for(asyncio.gather(*calls), 5)

    asyncio.run(tried())


def test_runs_that_are_created_without_end_keep_nobody_out_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefect_write_queue, "_LULL_AT_MOST_SECONDS", 0.2)

    async def tried() -> None:
        server = Server()
        queue = WriteQueue(server)
        for path in ("/y/create_flow_run", "/artifacts/"):
            server.end(path)
        await asyncio.gather(*_calls(queue, "/y/create_flow_run"))
        (waits,) = _calls(queue, "/artifacts/")
        until = time.monotonic() + 5
        while not waits.done():
            assert time.monotonic() < until
            await asyncio.gather(*_calls(queue, "/y/create_flow_run"))
            await asyncio.sleep(0.01)

    asyncio.run(tried())


@pytest.mark.parametrize("is_open", [True, False])
def test_an_event_waits_while_runs_are_created(monkeypatch: pytest.MonkeyPatch, is_open: bool) -> None:
    """Over a socket that is open already; and one that is not opens later."""
    monkeypatch.setattr(prefect_write_queue, "_LULL_SECONDS", 0.3)
    heard, sent = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            if is_open:
                await receive()
            heard.set()

    async def message() -> Any:
        await sent.wait()
        return {"type": "websocket.receive"}

    async def tried() -> None:
        queue = WriteQueue(app)
        socket = queue({"type": "websocket", "path": "/api/events/in"}, message, message)
        before = asyncio.create_task(socket) if is_open else None
        await _settle()
        await asyncio.gather(*_calls(queue, "/y/create_flow_run"))
        connection = before or asyncio.create_task(socket)
        sent.set()
        await _settle()
        assert not heard.is_set()
        await asyncio.wait_for(connection, 5)
        assert heard.is_set()

    asyncio.run(tried())
