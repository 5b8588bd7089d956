"""A real Prefect server, empty at the start of the session."""

import os
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from paramedic.demo.world import free_port
from paramedic.dispatch.prefect_server import server_command, server_env
from paramedic.lifeline import command
from paramedic.store import Store, connect
from paramedic.store.tables import meta


@dataclass
class Prefect:
    """The server of this session, and how it is started again on the same data."""

    home: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def start(self) -> None:
        quick = {"PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "0.5"}
        env = dict(os.environ) | server_env(self.home) | quick
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(command(server_command(self.port)), env=env, stdout=log, stderr=log)
        until = time.monotonic() + 240  # a busy machine needs more than a minute
        while not self._answers():
            assert time.monotonic() < until, (self.home / "log").read_text()[-2000:]
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.api}/health", timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ask(self, method: str, path: str, **content: Any) -> Any:
        """The answer's JSON; what is no success fails the test."""
        answer = httpx.request(method, f"{self.api}{path}", timeout=30, trust_env=False, **content)
        assert answer.is_success, f"{answer.status_code}: {answer.text[:2000]}"
        return answer.json() if answer.content else None

    def events(self, store: str, *, at_least: int) -> list[dict[str, Any]]:
        """All events of the store, oldest first, once so many are there."""
        mine = {"id_prefix": [f"paramedic.incident.{store}", f"paramedic.store.{store}"]}
        body = {"filter": {"resource": mine, "order": "ASC"}, "limit": 50}
        until = time.monotonic() + 60
        while True:
            found: list[dict[str, Any]] = self.ask("POST", "/events/filter", json=body)["events"]
            if len(found) >= at_least:
                return found
            assert time.monotonic() < until, f"{len(found)} events, not {at_least}: {[one['event'] for one in found]}"
            time.sleep(0.2)


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefect]:
    server = Prefect(tmp_path_factory.mktemp("prefect"), free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A store with an identity of its own: the server has met the others'."""
    engine = connect(store_url)
    with engine.begin() as conn:
        conn.execute(update(meta).values(store=str(uuid.uuid4())))
    engine.dispose()
    one = Store(store_url)
    yield one
    one.close()


@pytest.fixture
def closed_door() -> Iterator[str]:
    """A Prefect API behind an auth string that nobody told us, as its middleware answers."""

    class Closed(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Closed)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    server.server_close()
