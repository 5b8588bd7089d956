"""Everything on this machine: starts Paramedic's processes, restarts those that die, and leaves none behind."""

import contextlib
import fcntl
import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx

from paramedic import checkpoints, library, lifeline, settings
from paramedic.dispatch.prefect_server import server_command, server_env
from paramedic.error import Useless
from paramedic.library import Library
from paramedic.lifeline import command
from paramedic.settings import Settings
from paramedic.store import Store, StoreUnavailable
from paramedic.store.migrations import migrate

log = logging.getLogger(__name__)

#: How soon a child that died is started again, by how often it died on end.
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)

#: A child that lived this long starts its backoff anew.
_SETTLED_SECONDS = 10.0

#: How long all children together may take to end after SIGTERM.
_STOP_SECONDS = 7.0

#: A log is kept to about this size by starting it anew.
_LOG_BYTES = 10 * 1024 * 1024


class PortTaken(Useless):
    """The port that was asked for is somebody else's; the message names it and what to do."""


@dataclass
class Child:
    """One process: how it is started, and how it is doing."""

    name: str
    argv: list[str]
    env: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    deaths: int = 0
    start_again_at: float = 0.0
    log: IO[bytes] | None = field(default=None, repr=False)


class Stack:
    """Paramedic's processes on this machine. Use it from the main thread: the lifeline hangs on it."""

    def __init__(self, chosen: Settings) -> None:
        """Raises BadDocument for runbooks that cannot be used at all."""
        self.settings = chosen
        self.library: Library = library.load(chosen.runbooks)
        self._children: list[Child] = []
        self._lock: IO[str] | None = None
        self.gateway_url = ""
        self.prefect_url = ""
        self.token_file = chosen.data / "gateway-token"

    def start(self) -> None:
        """Start everything. Raises PortTaken, StoreUnavailable, StoreUnknown, or Useless for a data folder in use."""
        data = self.settings.data
        (data / "logs").mkdir(parents=True, exist_ok=True)
        self._take_folder(data)
        owner = self.settings.store_owner_url
        runtime_role = _role(self.settings.store()) if owner else None
        migrate(owner.get_secret_value() if owner else self.settings.store(), runtime_role=runtime_role)
        port = _free(self.settings.host, self.settings.port, given="port" in self.settings.model_fields_set)
        self.gateway_url = f"http://{self.settings.host}:{port}"
        env = dict(os.environ) | self._our_env(port) | server_env(data / "prefect")
        if self.settings.prefect_api_url is None:
            prefect_port = _free("127.0.0.1", 4200, given=False)
            self.prefect_url = f"http://127.0.0.1:{prefect_port}/api"
            self._add("prefect", server_command(prefect_port), env)
        else:
            self.prefect_url = self.settings.prefect_api_url
        env |= {"PREFECT_API_URL": self.prefect_url, "PARAMEDIC_PREFECT_API_URL": self.prefect_url}
        if self.settings.prefect_api_auth is not None:
            env["PREFECT_API_AUTH_STRING"] = self.settings.prefect_api_auth.get_secret_value()
        for child in self._children:
            child.env = env
        for name in ("gateway", "dispatch", "watchdog"):
            self._add(name, [sys.executable, "-m", f"paramedic.{name}"], env)
        self._add("responder", self._responder(), env)
        for child in self._children:
            self._spawn(child)

    def _responder(self) -> list[str]:
        if self.settings.work_pool_type == "paramedic":
            return [sys.executable, "-m", "paramedic.responder"]
        stock = [
            "worker",
            "start",
            "--type",
            "process",
            "--pool",
            self.settings.work_pool,
            "--create-pool-if-not-found",
        ]
        return [sys.executable, "-m", "prefect", *stock]

    def _our_env(self, port: int) -> dict[str, str]:
        chosen = self.settings
        env = {
            "PARAMEDIC_DATA": str(chosen.data),
            "PARAMEDIC_RUNBOOKS": str(chosen.runbooks),
            "PARAMEDIC_HOST": chosen.host,
            "PARAMEDIC_PORT": str(port),
            lifeline.VARIABLE: "1",
            "PARAMEDIC_WARM_PROCESSES": str(chosen.warm_processes),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_CLIENT_MAX_RETRIES": "3",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(settings.ROOT), os.environ.get("PYTHONPATH", "")])),
        }
        if not chosen.gateway_tokens and not chosen.gateway_users:
            env["PARAMEDIC_GATEWAY_TOKENS"] = json.dumps({"local": _token(self.token_file)})
        return env

    def _add(self, name: str, argv: list[str], env: dict[str, str]) -> None:
        self._children.append(Child(name, argv, env))

    def _spawn(self, child: Child) -> None:
        path = self.settings.data / "logs" / f"{child.name}.log"
        if child.log is not None:
            child.log.close()
        if path.exists() and path.stat().st_size > _LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        child.log = path.open("ab")
        child.process = subprocess.Popen(
            command(child.argv), env=child.env, stdin=subprocess.DEVNULL, stdout=child.log, stderr=child.log
        )
        child.started_at = time.monotonic()

    def tick(self) -> None:
        """Start again what has died. To be called a few times a second."""
        now = time.monotonic()
        for child in self._children:
            if child.process is None:
                if now >= child.start_again_at:
                    self._spawn(child)
            elif child.process.poll() is not None:
                child.deaths = 0 if now - child.started_at > _SETTLED_SECONDS else child.deaths + 1
                pause = _BACKOFF_SECONDS[min(child.deaths, len(_BACKOFF_SECONDS) - 1)]
                log.warning("%s ended with %s; started again in %s s", child.name, child.process.returncode, pause)
                child.process = None
                child.start_again_at = now + pause

    def wait_ready(self, seconds: float) -> None:
        """Until the gateway takes alerts and Prefect knows the deployments and a worker. Raises TimeoutError."""
        until = time.monotonic() + seconds
        waits: dict[str, Callable[[], bool]] = {
            "the gateway": lambda: _says_ok(f"{self.gateway_url}/readyz"),
            "the Prefect server": lambda: _says_ok(f"{self.prefect_url}/health"),
            "the deployments": lambda: _says_ok(f"{self.prefect_url}/deployments/name/restart-service/restart-service"),
            "the responder": self._has_worker,
        }
        for what, ready in waits.items():
            while not ready():
                if time.monotonic() > until:
                    raise TimeoutError(f"{what}: not ready within {seconds:.0f} s; see {self.settings.data / 'logs'}")
                self.tick()
                time.sleep(0.1)

    def _has_worker(self) -> bool:
        with contextlib.suppress(httpx.HTTPError, ValueError):
            answer = httpx.post(
                f"{self.prefect_url}/work_pools/{self.settings.work_pool}/workers/filter",
                json={},
                timeout=3,
                trust_env=False,
            )
            return answer.is_success and any(worker["status"] == "ONLINE" for worker in answer.json())
        return False

    def pids(self) -> dict[str, int]:
        """The process of each child that runs now."""
        return {child.name: child.process.pid for child in self._children if child.process is not None}

    def run_forever(self) -> None:
        """Keep everything running until somebody interrupts."""
        while True:
            self.tick()
            time.sleep(0.2)

    def stop(self) -> None:
        """End everything: asked first, killed after a while. The trail gets its last checkpoint."""
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        until = time.monotonic() + _STOP_SECONDS
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()
        self._children.clear()
        store = Store(self.settings.store())
        with contextlib.suppress(StoreUnavailable, OSError):
            checkpoints.write(store, settings.signing_key(self.settings), self.settings.checkpoints())
        store.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_folder(self, data: Path) -> None:
        self._lock = (data / "up.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise Useless(
                f"another `paramedic up` works in {data}; stop it, or give this one its own --data"
            ) from error


def _role(url: str) -> str | None:
    from sqlalchemy.engine import make_url

    return make_url(url).username


def _token(path: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return path.read_text().strip()
    token = secrets.token_urlsafe(32)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token + "\n")
    return token


def _free(host: str, port: int, *, given: bool) -> int:
    """The port, if it is free; another where nobody insisted on it. Raises PortTaken."""
    for wanted in (port, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, wanted))
            except OSError as error:
                if given and port != 0:
                    raise PortTaken(
                        f"port {port} on {host} is taken ({error.strerror}); choose another: PARAMEDIC_PORT"
                    ) from error
                continue
            found: int = listener.getsockname()[1]
            return found
    raise PortTaken(f"no free port on {host}")


def _says_ok(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False
