"""Everything on this machine: starts Paramedic's processes, restarts those that die, and leaves none behind."""

import contextlib
import errno
import fcntl
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import httpx

from paramedic import checkpoints, library, lifeline, settings
from paramedic.dispatch.prefect_server import server_command, server_env
from paramedic.error import TryAgain, Useless
from paramedic.library import Library
from paramedic.settings import Settings, web_address
from paramedic.store import Store
from paramedic.store.migrations import migrate

log = logging.getLogger(__name__)

#: How soon a child that died is started again, by how often it died on end.
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)

#: A child that lived this long starts its backoff anew.
_SETTLED_SECONDS = 10.0

#: How long children may take to end after SIGTERM: those that work, then the one that they work with.
_STOP_SECONDS = (6.0, 2.0)

#: A log that grew to this size is kept once, as `.log.1`, and begins anew.
_LOG_BYTES = 10 * 1024 * 1024

_LOOK_AT_LOGS_SECONDS = 5.0

#: Held while `up` works in a data folder; in it, where it listens.
_LOCK = "up.lock"

#: The last one that dispatch registers: flow and deployment.
_DEPLOYMENT = "prune/prune"


class NotReady(TryAgain):
    """Something did not answer in time; the message names it and where its log is."""


class PortTaken(Useless):
    """The port that was asked for cannot be had; the message names it and what to do."""


@dataclass
class Child:
    """One process: how it is started, and how it is doing."""

    name: str
    argv: list[str]
    env: dict[str, str]
    serves: bool = False  # the others work with it: it ends after them
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    deaths: int = 0
    start_again_at: float = 0.0


class Children:
    """Processes that are kept running, each the head of its own group.

    Use it from the main thread: the lifeline hangs on it, which kills them when we are killed. Ctrl-C on the terminal
    reaches only us, and we end them in order; what a child that died leaves behind in its group is killed.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: list[Child] = []
        self._logs_looked_at = 0.0

    def start(self, child: Child) -> None:
        """From now on it runs. Raises OSError where the log cannot be written."""
        self._children.append(child)
        self._spawn(child)

    def pids(self) -> dict[str, int]:
        """The process of each child that runs now."""
        return {child.name: child.process.pid for child in self._children if child.process is not None}

    def tick(self) -> None:
        """Start again what has died. To be called a few times a second."""
        now = time.monotonic()
        for child in self._children:
            if child.process is None:
                if now >= child.start_again_at:
                    self._spawn(child)
            elif child.process.poll() is not None:
                _kill_group(child.process)
                child.deaths = 0 if now - child.started_at > _SETTLED_SECONDS else child.deaths + 1
                pause = _BACKOFF_SECONDS[min(child.deaths, len(_BACKOFF_SECONDS) - 1)]
                log.warning("%s ended with %s; started again in %s s", child.name, child.process.returncode, pause)
                child.process = None
                child.start_again_at = now + pause
        if now - self._logs_looked_at > _LOOK_AT_LOGS_SECONDS:
            self._logs_looked_at = now
            for child in self._children:
                _keep_short(self._log_of(child))

    def stop(self) -> None:
        """End everything: asked first, killed after a while, those that serve the others last."""
        for serves, seconds in zip((False, True), _STOP_SECONDS, strict=True):
            running = [child.process for child in self._children if child.process and child.serves is serves]
            for process in running:
                process.terminate()
            until = time.monotonic() + seconds
            for process in running:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, until - time.monotonic()))
                _kill_group(process)
                process.wait()
        self._children.clear()

    def _spawn(self, child: Child) -> None:
        with self._log_of(child).open("ab") as written:
            child.process = subprocess.Popen(
                lifeline.command(child.argv),
                env=child.env,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                process_group=0,
            )
        child.started_at = time.monotonic()

    def _log_of(self, child: Child) -> Path:
        return self._logs / f"{child.name}.log"


def _kill_group(head: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody left, or on macOS only zombies
        os.killpg(head.pid, signal.SIGKILL)


def _keep_short(path: Path) -> None:
    """Its writers append, so they go on at the beginning; a line written meanwhile may be lost."""
    with contextlib.suppress(OSError):  # a full disk: the next look tries again
        if path.stat().st_size > _LOG_BYTES:
            shutil.copyfile(path, path.with_suffix(".log.1"))
            os.truncate(path, 0)


def _poll_seconds() -> str:
    """How often the worker asks Prefect for runs: every second, unless somebody has set what Prefect reads."""
    said = os.environ.get(_POLL, "1")
    with contextlib.suppress(ValueError):
        if 0 < float(said) < float("inf"):
            return said
    raise settings.BadSettings(f"{_POLL}, in the environment: {said!r} is not a number of seconds above 0")


_POLL = "PREFECT_WORKER_QUERY_SECONDS"


@dataclass(frozen=True, slots=True)
class Running:
    """Where a `paramedic up` listens."""

    pid: int
    gateway: str
    prefect: str


class Stack:
    """Paramedic's processes on this machine, as its settings say. Use it from the main thread."""

    def __init__(self, chosen: Settings) -> None:
        """Raises BadDocument for runbooks that cannot be used at all."""
        self.settings = chosen
        self.library: Library = library.in_force(chosen)
        self.token_file = settings.gateway_token_file(chosen)
        self.gateway_url = ""
        self.prefect_url = ""
        self._children = Children(chosen.data / "logs")
        self._lock: IO[str] | None = None
        auth = chosen.prefect_api_auth.get_secret_value().partition(":") if chosen.prefect_api_auth else None
        self._prefect = httpx.Client(auth=(auth[0], auth[2]) if auth else None, timeout=3, trust_env=False)

    def start(self) -> None:
        """Start everything.

        Raises PortTaken, StoreUnavailable, StoreUnknown, BadSettings, or Useless for a data folder that is in use.
        """
        chosen, data = self.settings, self.settings.data
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            (data / "logs").mkdir(exist_ok=True)
            self._lock = _taken(data)
            settings.signing_key(chosen)
            settings.link_key(chosen)
        except OSError as error:
            raise Useless(f"what is kept in {data} cannot be used: {error}") from error
        migrate(chosen.owner(), runtime_role=chosen.runtime_role())
        port = _free(
            chosen.host,
            chosen.port,
            given="port" in chosen.model_fields_set,
            who="the gateway",
            setting="PARAMEDIC_PORT",
        )
        self.gateway_url = web_address(chosen.host, port)
        env = self._env(port)
        prefect_port = 0
        if chosen.prefect_api_url is None:
            prefect_port = _prefect_port()
            env["PREFECT_CLIENT_CSRF_SUPPORT_ENABLED"] = "false"  # ours has none, and each client would ask first
            self.prefect_url = f"http://127.0.0.1:{prefect_port}/api"
        else:
            self.prefect_url = chosen.prefect_api_url.rstrip("/")
        env |= {"PREFECT_API_URL": self.prefect_url, "PARAMEDIC_PREFECT_API_URL": self.prefect_url}
        _say(self._lock, Running(os.getpid(), self.gateway_url, self.prefect_url))
        if prefect_port:
            self._children.start(Child("prefect", server_command(prefect_port), env, serves=True))
        for name in ("gateway", "dispatch", "watchdog"):
            self._children.start(Child(name, [sys.executable, "-m", f"paramedic.{name}"], env))
        self._children.start(Child("responder", self._responder(), env))

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

    def _env(self, port: int) -> dict[str, str]:
        chosen = self.settings
        env = dict(os.environ) | chosen.as_env() | server_env(chosen.data / "prefect")
        for theirs in ("PREFECT_PROFILE", "PREFECT_API_KEY"):  # of the person who starts us, for another Prefect
            if chosen.prefect_api_url is None:
                env.pop(theirs, None)
        env |= {
            "PARAMEDIC_DATA": str(chosen.data),
            "PARAMEDIC_RUNBOOKS": str(chosen.runbooks),
            "PARAMEDIC_HOST": chosen.host,
            "PARAMEDIC_PORT": str(port),
            lifeline.VARIABLE: "1",
            "PARAMEDIC_WARM_PROCESSES": str(chosen.warm_processes),
            _POLL: _poll_seconds(),
            "PREFECT_CLIENT_MAX_RETRIES": "3",
            "PREFECT_LOGGING_COLORS": "false",  # they go into a file, and cost 10 ms a line
            "PREFECT_API_REQUEST_TIMEOUT": "15",  # now and then a call is never answered: made again before its run is given up
            "PYTHONPATH": os.pathsep.join(filter(None, [str(settings.ROOT), os.environ.get("PYTHONPATH", "")])),
        }
        if not chosen.gateway_tokens and not chosen.gateway_users:
            env["PARAMEDIC_GATEWAY_TOKENS"] = json.dumps({"local": settings.gateway_token(chosen)})
        if chosen.prefect_api_auth is not None:
            auth = chosen.prefect_api_auth.get_secret_value()
            env |= {"PREFECT_API_AUTH_STRING": auth, "PREFECT_SERVER_API_AUTH_STRING": auth}
        return env

    def tick(self) -> None:
        """Start again what has died. To be called a few times a second."""
        self._children.tick()

    def wait_ready(self, seconds: float) -> None:
        """Until the gateway takes alerts and Prefect knows the deployments and a worker. Raises NotReady."""
        until = time.monotonic() + seconds
        waits: dict[str, Callable[[], bool]] = {
            "the gateway": lambda: httpx.get(f"{self.gateway_url}/readyz", timeout=3, trust_env=False).is_success,
            "the Prefect server": lambda: self._prefect.get(f"{self.prefect_url}/health").is_success,
            "the deployments": lambda: (
                self._prefect.get(f"{self.prefect_url}/deployments/name/{_DEPLOYMENT}").is_success
            ),
            "the responder": self._has_worker,
        }
        for what, ready in waits.items():
            while not _answers(ready):
                if time.monotonic() > until:
                    raise NotReady(f"{what}: not ready within {seconds:.0f} s; see {self.settings.data / 'logs'}")
                self.tick()
                time.sleep(0.1)

    def _has_worker(self) -> bool:
        pool = f"{self.prefect_url}/work_pools/{self.settings.work_pool}"
        answer = self._prefect.post(f"{pool}/workers/filter", json={})
        return answer.is_success and any(worker["status"] == "ONLINE" for worker in answer.json())

    def pids(self) -> dict[str, int]:
        """The process of each child that runs now."""
        return self._children.pids()

    def run_forever(self) -> None:
        """Keep everything running until somebody interrupts."""
        while True:
            self.tick()
            time.sleep(0.2)

    def stop(self) -> None:
        """End everything: asked first, killed after a while; under 10 s. The trail gets its last checkpoint."""
        self._children.stop()
        self._prefect.close()
        if self._lock is None:  # the folder was never ours
            return
        store = Store(self.settings.store())
        with contextlib.suppress(TryAgain, Useless, OSError):
            checkpoints.write(store, settings.signing_key(self.settings), self.settings.checkpoints())
        store.close()
        _say(self._lock, None)
        self._lock.close()
        self._lock = None


def running(data: Path) -> Running | None:
    """Where the `paramedic up` on this folder listens, as it said when it started; None if it ended, or never was."""
    try:
        return Running(**json.loads((data / _LOCK).read_text()))
    except (OSError, ValueError, TypeError):
        return None


@contextlib.contextmanager
def alone(data: Path) -> Iterator[None]:
    """No `paramedic up` works in the folder meanwhile. Raises Useless where one does, OSError for no such folder."""
    with _taken(data):
        yield


def _taken(data: Path) -> IO[str]:
    lock = (data / _LOCK).open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        other = running(data)
        who = f" (process {other.pid}, gateway {other.gateway})" if other else ""
        raise Useless(
            f"another `paramedic up`{who} works in {data}; stop it, or give this one its own --data"
        ) from error
    return lock


def _say(lock: IO[str], what: Running | None) -> None:
    lock.truncate(0)
    if what is not None:
        json.dump(asdict(what), lock)
    lock.flush()


def _prefect_port() -> int:
    """Prefect's own variable names it, as its users expect."""
    setting = "PREFECT_SERVER_API_PORT"
    said = os.environ.get(setting)
    if said and not said.isdigit():
        raise Useless(f"{setting}: {said!r:.40} is no port")
    return _free("127.0.0.1", int(said or 4200), given=bool(said), who="the Prefect server", setting=setting)


def _free(host: str, port: int, *, given: bool, who: str, setting: str) -> int:
    """The port, if it is free; another where nobody insisted on it. Raises PortTaken."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise PortTaken(
            f"{host!r} is no address of this machine ({error.strerror}); choose another: PARAMEDIC_HOST"
        ) from error
    for wanted in (port, 0):
        with socket.socket(family) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((address[0], wanted))
            except OSError as error:
                if given or error.errno != errno.EADDRINUSE:
                    raise PortTaken(
                        f"{who} cannot have port {port} on {host} ({error.strerror}); choose another: {setting}"
                    ) from error
                continue
            found: int = listener.getsockname()[1]
        if found != port != 0:
            log.warning("port %s on %s is taken: %s listens on %s", port, host, who, found)
        return found
    raise PortTaken(f"no free port on {host}")


def _answers(ready: Callable[[], bool]) -> bool:
    try:
        return ready()
    except (httpx.HTTPError, ValueError):
        return False
