"""A real Prefect server, started again on the same data when a test says so."""

import contextlib
import fcntl
import importlib.metadata
import os
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from paramedic.demo.world import free_port
from paramedic.machine import liveness
from paramedic.machine.parent_death import command
from paramedic.stack.prefect_server import server_command, server_env

#: The database that Prefect's migrations make, with its block types and nothing else: they cost a server seconds of CPU.
_MIGRATED = Path(sys.prefix) / f"prefect-{importlib.metadata.version('prefect')}.db"


def lay_out(home: Path) -> dict[str, str]:
    """Create the folder with a migrated database in it, unless it has one; the environment for a server on it.

    How a server starts on an empty folder is told by the demo of tests/real/test_up.py.
    """
    home.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not (home / "prefect.db").exists():
        (home / "prefect.db").write_bytes(_migrated().read_bytes())
    return {"PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false"}  # they are in the database


def _migrated() -> Path:
    """Made once for a virtual environment, by a server that starts on an empty folder."""
    with _MIGRATED.with_suffix(".lock").open("w") as lock, tempfile.TemporaryDirectory(prefix="prefect-") as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _MIGRATED.exists():
            server = Prefect(Path(folder), free_port())
            server.serve({})
            server.stop()
            new = _MIGRATED.with_suffix(".new")
            new.unlink(missing_ok=True)
            with contextlib.closing(sqlite3.connect(server.home / "prefect.db")) as database:
                database.execute("VACUUM INTO ?", (str(new),))  # with what is still in its write-ahead log
            new.rename(_MIGRATED)
    return _MIGRATED


#: A server of the tests may be stopped and started again between two calls.
_NO_CONNECTIONS = httpx.Limits(max_keepalive_connections=0)


def http(base_url: str = "", **how: Any) -> httpx.Client:
    """A client to call often: it reads no certificates, which costs 20 ms of CPU a time, and keeps no connection to a server."""
    return httpx.Client(
        base_url=base_url,
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        limits=_NO_CONNECTIONS,
        trust_env=False,
        **how,
    )


@dataclass
class Prefect:
    """One server: where it keeps its data, and how it is started on them and stopped."""

    home: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    heart: int = -1  # where its signs of life are read

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @cached_property
    def _http(self) -> httpx.Client:
        return http(self.api, timeout=30)

    def start(self) -> None:
        """Start it on its data, or on a migrated database where it has none yet."""
        self.serve(lay_out(self.home))

    def serve(self, given: dict[str, str]) -> None:
        """Start it with this environment besides."""
        quick = {
            "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "0.2",
            "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "1",
            # It plans what the loop of the recent ones comes too late for on a busy machine.
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
            "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1",
        }
        self.heart, theirs = os.pipe()
        env = dict(os.environ) | server_env(self.home) | quick | given | {liveness.VARIABLE: str(theirs)}
        argv = command(server_command(self.port))
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, env=env, stdout=log, stderr=log, pass_fds=[theirs])
        os.close(theirs)
        until = time.monotonic() + 240  # a busy machine needs more than a minute
        while not self._answers():
            assert time.monotonic() < until, (self.home / "log").read_text()[-2000:]
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            return self._http.get("/health", timeout=5).is_success
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
        os.close(self.heart)

    def ask(self, method: str, path: str, **content: Any) -> Any:
        """The answer's JSON; what is not a success fails the test. On SQLite it says 503 now and then, and is asked again."""
        until = time.monotonic() + 60
        while True:
            answer = self._http.request(method, path, **content)
            if answer.status_code != 503 or time.monotonic() > until:
                break
            time.sleep(0.2)
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
            assert time.monotonic() < until, (
                f"{len(found)} events, not {at_least}: {[event['event'] for event in found]}"
            )
            time.sleep(0.2)
