"""The stack: starts Paramedic's processes on this machine in order, and says what is waited for."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Collection
from functools import partial
from typing import IO

import httpx

from paramedic import keys
from paramedic.catalog.library import Library, library_in_force
from paramedic.errors import PermanentError, TemporaryError
from paramedic.gateway import identity
from paramedic.machine import data_folder, file_ownership, parent_death, ports
from paramedic.settings import Settings, authored, web_address
from paramedic.stack import elsewhere, health_check, instance, reserved_ports
from paramedic.stack.children import Child, Children
from paramedic.stack.environment import child_env
from paramedic.stack.instance import Running
from paramedic.stack.prefect_server import server_command
from paramedic.stack.progress import Progress, Step
from paramedic.stack.store_waits import Acting, Migration
from paramedic.store import Store, messages, prefect_claim
from paramedic.store.running_processes import ROLES
from paramedic.transports import http_deadline, prefect_login
from paramedic.transports.prefect_http import PrefectApi, complaint
from paramedic.upkeep import checkpoints

log = logging.getLogger(__name__)

#: The last one that dispatch registers: flow and deployment.
_DEPLOYMENT = "prune/prune"

#: A process that gave no sign of life for so long stands still. Each gives one every few seconds, and where it waits for
#: Prefect or the store after its time-outs of 10 s.
_SILENT_SECONDS = 60.0

_GATEWAY = "the gateway"


class NotReady(TemporaryError):
    """Something did not answer in time; the message names it and where its log is."""


class Stack:
    """Paramedic's processes on this machine. Use it from the main thread."""

    def __init__(self, settings: Settings, only: Collection[str] = ROLES) -> None:
        """`only`: those of ROLES that this machine has; others have the rest.

        Raises BadDocument for runbooks that cannot be used at all, PermanentError where the rest could not be reached.
        """
        self.settings = settings
        self._only = elsewhere.checked(only, settings)
        self.library: Library = library_in_force(settings)
        self.token_file = keys.gateway_token_file(settings)
        self.gateway_url = ""
        self.prefect_url = ""
        self._embedded = settings.prefect_api_url is None
        self._children = Children(settings.data / data_folder.LOGS, partial(_report, settings))
        self._lock: IO[str] | None = None
        self._ports: list[ports.Held] = []
        self._refused: prefect_claim.AnotherPrefect | None = None
        self._child_env: dict[str, str] = {}
        self._migration = Migration(settings)
        self._acting = Acting(settings)
        self._progress: Progress | None = None
        self._prefect: httpx.Client | None = None

    def start(self) -> None:
        """Start everything. It waits for a store that is away: until then only the watchdog runs, which pages a person.

        Raises PortTaken, BadDataFolder, StoreUnknown, BadSettings, or PermanentError for a folder in use; nothing was started.
        """
        settings, data = self.settings, self.settings.data
        try:
            for notice in data_folder.prepare(data):
                log.warning("%s", notice)
            self._lock = instance.lock(data)
            settings = self.settings = self._with_keys(settings)
        except OSError as error:
            raise PermanentError(f"what is kept in {data} cannot be used: {error}") from error
        untrusted = file_ownership.complaints(authored(settings))
        if untrusted:
            raise PermanentError("\n".join(untrusted))
        port = settings.port
        if "gateway" in self._only:
            port = self._held(ports.demand(settings.host, port, who="the gateway", setting="PARAMEDIC_PORT"))
        prefect_port = self._held(reserved_ports.prefect()) if settings.prefect_api_url is None else 0
        self._ports += reserved_ports.metrics(settings, self._only)
        self._migration.attempt()
        self.gateway_url = web_address(settings.host, port)
        env = self._child_env = child_env(settings, port)
        if settings.prefect_api_url is None:
            env["PREFECT_CLIENT_CSRF_SUPPORT_ENABLED"] = "false"  # ours has none, and each client would ask first
            self.prefect_url = f"http://127.0.0.1:{prefect_port}/api"
        else:
            self.prefect_url = settings.prefect_api_url.rstrip("/")
        prefect = self._prefect = self.prefect_api.client(seconds=3)
        env |= {"PREFECT_API_URL": self.prefect_url, "PARAMEDIC_PREFECT_API_URL": self.prefect_url}
        healthy_at = health_check.addresses(settings, self.gateway_url, self._only)
        instance.announce(self._lock, Running(os.getpid(), self.gateway_url, self.prefect_url, healthy_at))
        if prefect_port:
            self._children.start(
                Child("prefect", server_command(prefect_port), env, serves=True, silent_seconds=_SILENT_SECONDS)
            )
        self._start("watchdog")
        if self._migration.done:
            self._start_workers()
        self._progress = Progress(self._steps(prefect))

    def _with_keys(self, settings: Settings) -> Settings:
        """Make the keys that this machine needs; the settings with the login to its own Prefect. Raises OSError, BadSettings."""
        if self.has("watchdog"):  # who signs checkpoints
            keys.signing_key(settings)
        keys.link_key(settings)
        return prefect_login.with_login_made(settings) if settings.prefect_api_url is None else settings

    def _held(self, held: ports.Held) -> int:
        """Reserve the port until the end, whichever of our processes dies meanwhile."""
        self._ports.append(held)
        return held.port

    def _start(self, name: str) -> None:
        if name not in self._only:
            return
        argv = parent_death.module(f"paramedic.{name}")
        self._children.start(Child(name, argv, self._child_env, silent_seconds=_SILENT_SECONDS))

    def _start_workers(self) -> None:
        for name in ("gateway", "dispatch"):
            self._start(name)
        if "responder" not in self._only:
            return
        ours = self.settings.work_pool_type == "paramedic"
        self._children.start(
            Child(
                "responder",
                self._responder(),
                self._child_env,
                silent_seconds=_SILENT_SECONDS if ours else None,
                may_end=self._nothing_acts,
            )
        )

    def _responder(self) -> list[str]:
        if self.settings.work_pool_type == "paramedic":
            return parent_death.module("paramedic.responder")
        pool = ("--type", "process", "--pool", self.settings.work_pool, "--create-pool-if-not-found")
        return parent_death.module("prefect", "worker", "start", *pool)

    @property
    def prefect_api(self) -> PrefectApi:
        """The Prefect API and the login to it, once it is started."""
        return PrefectApi(self.prefect_url, self.settings.prefect_api_auth)

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
        """Restart what died or hangs, and continue the start. Call it a few times a second.

        Raises StoreUnknown where the store that was waited for is not one of ours, AnotherPrefect where its runs are in
        another Prefect.
        """
        if self._refused is not None:
            raise self._refused
        self._children.tick()
        if self._migration.advance():
            self._start_workers()

    def waits_for(self) -> tuple[str, str] | None:
        """The step of the start that is waited for, and why; None once all were ready."""
        return self._progress.waits_for() if self._progress is not None else ("the start", "")

    def ready(self) -> list[str]:
        """The steps of the start that have been ready, in their order."""
        return self._progress.ready() if self._progress is not None else []

    def takes_alerts(self) -> bool:
        """Whether the gateway has been ready."""
        return self._progress is not None and self._progress.passed(_GATEWAY)

    def has(self, role: str) -> bool:
        """Whether this machine has the role."""
        return role in self._only

    def wait_ready(self, seconds: float) -> None:
        """Wait until the gateway accepts alerts and Prefect has the deployments and a worker. Raises NotReady."""
        until = time.monotonic() + seconds
        while (waited := self.waits_for()) is not None:
            if time.monotonic() > until:
                logs = self.settings.data / data_folder.LOGS
                raise NotReady(f"{waited[0]}: not ready within {seconds:.0f} s: {waited[1]}; see {logs}")
            self.tick()
            time.sleep(0.1)

    def _steps(self, prefect: httpx.Client) -> list[Step]:
        steps = {
            "store": Step("the store", self._migration.complaint),
            "gateway": Step(_GATEWAY, self._gateway_complaint),
            "prefect": Step(f"the Prefect server at {self.prefect_url}", lambda: complaint(prefect)),
            "dispatch": Step("the deployments", partial(self._deployments_complaint, prefect)),
            "responder": Step("the responder", partial(self._responder_complaint, prefect)),
        }
        return [step for name, step in steps.items() if name not in ROLES or name in self._only]

    def _gateway_complaint(self) -> str | None:
        identity.demand(self.gateway_url, keys.link_key(self.settings))
        with http_deadline.client(seconds=3) as http:
            answer = http.get(f"{self.gateway_url}/readyz")
        return None if answer.is_success else f"HTTP {answer.status_code}: {answer.text.strip()[:100]}"

    def _deployments_complaint(self, prefect: httpx.Client) -> str | None:
        try:
            self._check_claim(prefect)
        except prefect_claim.AnotherPrefect as error:
            self._refused = error  # raised where everything can be ended
            return str(error)
        answer = prefect.get(f"/deployments/name/{_DEPLOYMENT}")
        return None if answer.is_success else f"dispatch has not registered them (HTTP {answer.status_code})"

    def _responder_complaint(self, prefect: httpx.Client) -> str | None:
        return None if self._has_worker(prefect) else f"no worker of the pool {self.settings.work_pool} is online"

    def _nothing_acts(self) -> bool:
        """Whether a responder may be ended: no run holds a claim on a target. False if the store does not answer."""
        return self._acting.nothing()

    def _check_claim(self, prefect: httpx.Client) -> None:
        """Raises AnotherPrefect where the store is another Prefect's.

        Whether it is claimed is asked first: who claims it has made the installation's id before that.
        """
        with contextlib.closing(Store(self.settings.store())) as store:
            with store.read() as tx:
                if not prefect_claim.is_claimed(tx):
                    return
            known = prefect_claim.look(prefect)
            with store.read() as tx:
                if known is not None:
                    prefect_claim.check(tx, known)

    def _has_worker(self, prefect: httpx.Client) -> bool:
        answer = prefect.post(f"/work_pools/{self.settings.work_pool}/workers/filter", json={})
        return answer.is_success and any(worker["status"] == "ONLINE" for worker in answer.json())

    def pids(self) -> dict[str, int]:
        """The process of each child that runs now."""
        return self._children.pids()

    def run_forever(self) -> None:
        """Keep everything running until an interrupt."""
        while True:
            self.tick()
            time.sleep(0.2)

    def stop(self) -> None:
        """End everything within 10 s: SIGTERM, then SIGKILL. The trail gets its last checkpoint."""
        if self._progress is not None:
            self._progress.close()
        self._children.stop()
        for held in self._ports:
            held.release()
        if self._prefect is not None:
            self._prefect.close()
        if self._lock is None:  # the folder was never ours
            return
        if self._migration.done and "watchdog" in self._only:
            store = Store(self.settings.store())
            with contextlib.suppress(TemporaryError, PermanentError, OSError):
                checkpoints.sign(store, self.settings)
            store.close()
        instance.announce(self._lock, None)
        self._lock.close()
        self._lock = None


def _report(settings: Settings, subject: str, words: str) -> None:
    """Queue an internal alert through the store, in a thread that delays no child. The watchdog sends it."""

    def write() -> None:
        store = Store(settings.store())
        try:
            with store.write() as tx:
                messages.queue_internal_alert(tx, subject=subject, body=words, same_within_minutes=5)
        except (TemporaryError, PermanentError) as error:
            log.warning("an internal alert could not be queued in the store: %s", error)
        finally:
            store.close()

    threading.Thread(target=write, name="tell", daemon=True).start()
