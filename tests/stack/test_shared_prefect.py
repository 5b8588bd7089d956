"""A Prefect server of several tells systemd when it listens and that its event loop runs; one that stands still is silent."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from waiting import until

from paramedic.demo.world import free_port
from paramedic.machine.service_manager import ServiceManager
from paramedic.stack.serve_shared_prefect import NotifyingServer

STILL_SECONDS = 2.5


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers 204; at /still it stands still first."""
    if scope["type"] == "lifespan":
        await receive()
        await asyncio.sleep(0.5)  # as a start has it: until then nobody is answered
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/still":
        time.sleep(STILL_SECONDS)  # noqa: ASYNC251 - that is what is tried
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(30)
        yield listening


def test_it_is_ready_once_it_listens_and_silent_while_it_stands_still(manager: socket.socket) -> None:
    port = free_port()
    server = NotifyingServer(uvicorn.Config(application, port=port), ServiceManager(manager.getsockname()))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while manager.recv(4096) != b"READY=1":
            pass
        assert (
            httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 204
        )  # ready says so: no waiting for it
        while manager.recv(4096) != b"WATCHDOG=1":
            pass
        began = time.monotonic()
        httpx.get(f"http://127.0.0.1:{port}/still", timeout=30, trust_env=False)
        while manager.recv(4096) != b"WATCHDOG=1":
            pass
        assert time.monotonic() - began >= STILL_SECONDS
    finally:
        server.should_exit = True
        thread.join(30)
    while manager.recv(4096) != b"STOPPING=1":
        pass
    until("its end", lambda: not thread.is_alive())
