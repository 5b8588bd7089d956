"""Everything on this machine: starts Paramedic's processes, restarts those that die, and leaves none behind."""

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

from paramedic import checkpoints, data_folder, instance, library, lifeline, ownership, ports, prefect_login, settings
from paramedic.dispatch.prefect_server import server_command, server_env
from paramedic.error import TryAgain, Useless
from paramedic.instance import Running
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

#: Where Prefect's own server listens unless somebody says otherwise.
_PREFECT_PORT = 4200

#: The last one that dispatch registers: flow and deployment.
_DEPLOYMENT = "prune/prune"


class NotReady(TryAgain):
    """Something did not answer in time; the message names it and where its log is."""


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
        self._folder = logs.parent
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
        with _appended(self._log_of(child)) as written:
            child.process = subprocess.Popen(
                lifeline.command(child.argv),
                env=child.env,
                cwd=self._folder,  # Prefect reads .env, prefect.toml and pyproject.toml of where it is started
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                process_group=0,
            )
        child.started_at = time.monotonic()

    def _log_of(self, child: Child) -> Path:
        return self._logs / f"{child.name}.log"


def _appended(path: Path) -> IO[bytes]:
    """For whoever appends: of this user alone, whatever the umask; never what a symlink leads to."""
    how = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, how, 0o600), "ab")


def _kill_group(head: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody left, or on macOS only zombies
        os.killpg(head.pid, signal.SIGKILL)


def _keep_short(path: Path) -> None:
    """Its writers append, so they go on at the beginning; a line written meanwhile may be lost."""
    with contextlib.suppress(OSError):  # a full disk: the next look tries again
        if path.stat().st_size > _LOG_BYTES:
            with path.open("rb") as grown, _appended(path.with_suffix(".log.1")) as kept:
                kept.truncate(0)
                shutil.copyfileobj(grown, kept)
            os.truncate(path, 0)


def _poll_seconds() -> str:
    """How often the worker asks Prefect for runs: every second, unless somebody has set what Prefect reads."""
    said = os.environ.get(_POLL, "1")
    with contextlib.suppress(ValueError):
        if 0 < float(said) < float("inf"):
            return said
    raise settings.BadSettings(f"{_POLL}, in the environment: {said!r} is not a number of seconds above 0")


_POLL = "PREFECT_WORKER_QUERY_SECONDS"


class Stack:
    """Paramedic's processes on this machine, as its settings say. Use it from the main thread."""

    def __init__(self, chosen: Settings) -> None:
        """Raises BadDocument for runbooks that cannot be used at all."""
        self.settings = chosen
        self.library: Library = library.in_force(chosen)
        self.token_file = settings.gateway_token_file(chosen)
        self.gateway_url = ""
        self.prefect_url = ""
        self._embedded = chosen.prefect_api_url is None
        self._children = Children(chosen.data / data_folder.LOGS)
        self._lock: IO[str] | None = None
        self._migrated = False
        self._prefect = httpx.Client(timeout=3, trust_env=False)

    def start(self) -> None:
        """Start everything.

        Raises PortTaken, BadDataFolder, StoreUnavailable, StoreUnknown, BadSettings, or Useless for a folder in use.
        """
        chosen, data = self.settings, self.settings.data
        try:
            for said in data_folder.prepare(data):
                log.warning("%s", said)
            self._lock = instance.lock(data)
            settings.signing_key(chosen)
            settings.link_key(chosen)
            if chosen.prefect_api_url is None:
                chosen = self.settings = prefect_login.with_login_made(chosen)
        except OSError as error:
            raise Useless(f"what is kept in {data} cannot be used: {error}") from error
        untrusted = ownership.complaints(settings.authored(chosen))
        if untrusted:
            raise Useless("\n".join(untrusted))
        port = ports.demand(chosen.host, chosen.port, who="the gateway", setting="PARAMEDIC_PORT")
        prefect_port = _prefect_port() if chosen.prefect_api_url is None else 0
        if self.prefect_auth is not None:
            self._prefect.auth = httpx.BasicAuth(*self.prefect_auth)
        migrate(chosen.owner(), runtime_role=chosen.runtime_role())
        self._migrated = True
        self.gateway_url = web_address(chosen.host, port)
        env = self._env(port)
        if chosen.prefect_api_url is None:
            env["PREFECT_CLIENT_CSRF_SUPPORT_ENABLED"] = "false"  # ours has none, and each client would ask first
            self.prefect_url = f"http://127.0.0.1:{prefect_port}/api"
        else:
            self.prefect_url = chosen.prefect_api_url.rstrip("/")
        env |= {"PREFECT_API_URL": self.prefect_url, "PARAMEDIC_PREFECT_API_URL": self.prefect_url}
        instance.announce(self._lock, Running(os.getpid(), self.gateway_url, self.prefect_url))
        if prefect_port:
            self._children.start(Child("prefect", server_command(prefect_port), env, serves=True))
        for name in ("gateway", "dispatch", "watchdog"):
            self._children.start(Child(name, lifeline.module(f"paramedic.{name}"), env))
        self._children.start(Child("responder", self._responder(), env))

    def _responder(self) -> list[str]:
        if self.settings.work_pool_type == "paramedic":
            return lifeline.module("paramedic.responder")
        stock = [
            "worker",
            "start",
            "--type",
            "process",
            "--pool",
            self.settings.work_pool,
            "--create-pool-if-not-found",
        ]
        return lifeline.module("prefect", *stock)

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
            "PYTHONPATH": os.pathsep.join([str(settings.ROOT), *_absolute(os.environ.get("PYTHONPATH", ""))]),
            "PYTHONSAFEPATH": "1",
        }
        env.pop("PARAMEDIC_CONFIG", None)  # what it says is in the environment now
        if not chosen.gateway_tokens and not chosen.gateway_users:
            env["PARAMEDIC_GATEWAY_TOKENS"] = json.dumps({"local": settings.gateway_token(chosen)})
        if chosen.prefect_api_auth is not None:
            auth = chosen.prefect_api_auth.get_secret_value()
            env |= {"PREFECT_API_AUTH_STRING": auth, "PREFECT_SERVER_API_AUTH_STRING": auth}
        return env

    @property
    def prefect_auth(self) -> tuple[str, str] | None:
        """User and password for the Prefect API, once it is started; None where none is set."""
        return prefect_login.credentials(self.settings)

    def ui(self, shown_on: IO[str]) -> str:
        """Where the Prefect UI is; of the embedded server the address that logs in, if only who started us reads it."""
        ui_url = self.settings.prefect_ui_url or self.prefect_url.removesuffix("/api")
        login = self.settings.prefect_api_auth
        if login is None or not self._embedded:
            return ui_url
        if not prefect_login.may_be_shown(shown_on):
            return f"{ui_url} (`paramedic ui --data {self.settings.data}` prints the address that logs you in)"
        return prefect_login.clickable(ui_url, login.get_secret_value())

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
        if self._migrated:
            store = Store(self.settings.store())
            with contextlib.suppress(TryAgain, Useless, OSError):
                checkpoints.sign(store, self.settings)
            store.close()
        instance.announce(self._lock, None)
        self._lock.close()
        self._lock = None


def _absolute(path: str) -> list[str]:
    """Without the entries that mean wherever a process is started: an empty one does."""
    return [one for one in path.split(os.pathsep) if Path(one).is_absolute()]


def _prefect_port() -> int:
    """Prefect's own variable names it, as its users expect."""
    setting = "PREFECT_SERVER_API_PORT"
    said = os.environ.get(setting)
    if said and not said.isdigit():
        raise Useless(f"{setting}: {said!r:.40} is no port")
    return ports.demand("127.0.0.1", int(said or _PREFECT_PORT), who="the Prefect server", setting=setting)


def _answers(ready: Callable[[], bool]) -> bool:
    try:
        return ready()
    except (httpx.HTTPError, ValueError):
        return False
