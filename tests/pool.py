"""A work pool with its flows, and the responders that serve it: processes of their own."""

import os
import subprocess
import sys
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_server import Prefect
from waiting import until

from paramedic.machine.parent_death import command
from paramedic.responder.worker import ParamedicWorker
from paramedic.settings import ROOT
from paramedic.store import Store
from paramedic.store.migrations import migrate
from paramedic.store.wakeups import RESPONDER, notify

MARK = """
import os, time
from pathlib import Path
from prefect import flow

VERSION = 1


@flow
def mark(file: str, seconds: float = 0.0):
    with open(file, "a") as written:
        written.write(f"{os.getpid()} {VERSION}\\n")
    until = time.monotonic() + seconds
    while time.monotonic() < until and not Path(file + ".go").exists():
        time.sleep(0.05)
"""

LEAVE = """
import os, signal, time
from prefect import flow


@flow
def leave(how: str):
    if how == "exit":
        os._exit(3)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "leak":
        kept = []
        while True:
            kept.append(bytearray(8 * 1024 * 1024))
            time.sleep(0.01)
    time.sleep(600)
"""

FEATURES = """
import time
from datetime import timedelta

from prefect import flow, get_run_logger, suspend_flow_run, task
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import deployment, flow_run


@task(retries=1, retry_delay_seconds=0)
def shaky(tries: list):
    tries.append(1)
    if len(tries) < 2:
        raise ValueError("not yet")
    return len(tries)


@flow(log_prints=True)
def features(what: str, number: int = 7):
    get_run_logger().info("a logged line")
    print("a printed line")
    if what == "fails":
        raise ValueError("as asked")
    if what == "artifact":
        create_markdown_artifact("# seen", key="seen-by-a-run")
    if what == "tasks":
        assert shaky([]) == 2
    if what == "context":
        assert deployment.name.startswith("features") and flow_run.name and flow_run.tags and number == 7
    if what == "suspends":
        suspend_flow_run(timeout=600)
"""

AGAIN = """
from prefect import flow
from prefect.runtime import flow_run


@flow(retries=2, retry_delay_seconds=0)
def again():
    if flow_run.run_count < 2:
        raise ValueError("not yet")
    return flow_run.run_count
"""

SLOW = """
import time
from prefect import flow


@flow(timeout_seconds=1)
def slow():
    time.sleep(30)
"""

WHOSE = """
import inspect, os
from pathlib import Path
from prefect import flow


@flow
def whose(file: str):
    frames = [frame.frame.f_locals.get("self") for frame in inspect.stack()]
    engine = next(type(one).__name__ for one in frames if type(one).__name__.endswith("Engine"))
    Path(file).write_text(f"{os.getppid()} {engine}")
"""

#: Every pool has it: whatever the responders do, they do it beside code that cannot be imported.
BROKEN = "this is no Python\n"

#: By the name of the file, which is the flow's.
FLOWS = {
    "mark": MARK,
    "leave": LEAVE,
    "features": FEATURES,
    "again": AGAIN,
    "slow": SLOW,
    "whose": WHOSE,
    "broken": BROKEN,
}

FINAL = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")


class Pool:
    """A pool with its deployments, and the responders that serve it."""

    def __init__(self, prefect: Prefect, folder: Path, kind: str = "paramedic") -> None:
        self.prefect, self.folder, self.kind = prefect, folder, kind
        self.name = f"pool-{uuid.uuid4().hex[:8]}"
        self.flows = folder / "flows"
        self.flows.mkdir()
        self.store_url = f"sqlite:///{folder}/paramedic.db"
        migrate(self.store_url)
        self.store = Store(self.store_url)
        self.deployments: dict[str, str] = {}
        self._started: list[subprocess.Popen[bytes]] = []
        for name, code in FLOWS.items():
            (self.flows / f"{name}.py").write_text(code)
        template = ParamedicWorker.get_default_base_job_template() if kind == "paramedic" else {}
        body = {"name": self.name, "type": kind} | ({"base_job_template": template} if template else {})
        prefect.ask("POST", "/work_pools/", json=body)
        for priority, queue in enumerate(("critical", "warning"), start=1):
            prefect.ask("POST", f"/work_pools/{self.name}/queues", json={"name": queue, "priority": priority})
        grace = {"job_variables": {"cancel_grace_seconds": 1}} if kind == "paramedic" else {}
        self.deploy("leave.leave", **grace)
        for name in FLOWS.keys() - {"leave"}:
            self.deploy(f"{name}.{name}")

    def deploy(self, entrypoint: str, called: str = "", **fields: Any) -> None:
        flow = entrypoint.split(".")[1]
        name = called or flow
        with temporary_settings({PREFECT_API_URL: self.prefect.api}), get_client(sync_client=True) as client:
            made = client.create_deployment(
                flow_id=client.create_flow_from_name(flow),
                name=f"{name}-of-{self.name}",  # of one name there is one deployment, and each pool has its own
                entrypoint=f"flows.{entrypoint}",
                pull_steps=[],
                work_pool_name=self.name,
                enforce_parameter_schema=False,
                tags=["tried"],
                **fields,
            )
        self.deployments[name] = str(made)

    def start(self, **env: str) -> subprocess.Popen[bytes]:
        """A responder, once Prefect knows it, and it has a warm process and has polled."""
        known, polled = self._online(), self._polled()
        given = {
            "PARAMEDIC_DATA": str(self.folder),
            "PARAMEDIC_STORE_URL": self.store_url,
            "PARAMEDIC_RUNBOOKS": str(ROOT / "runbooks"),
            "PARAMEDIC_FLOWS": str(self.flows),
            "PARAMEDIC_WORK_POOL": self.name,
            "PARAMEDIC_DIE_WITH_PARENT": "1",
            "PREFECT_API_URL": self.prefect.api,
            "PREFECT_HOME": str(self.prefect.home),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.3",
            "PYTHONPATH": str(ROOT),
        }
        argv = [sys.executable, "-m", "paramedic.responder"]
        if self.kind == "process":
            argv = [sys.executable, "-m", "prefect", "worker", "start", "--type", "process", "--pool", self.name]
        with (self.folder / "responder.log").open("ab") as log:
            responder = subprocess.Popen(command(argv), env=dict(os.environ) | given | env, stdout=log, stderr=log)
        self._started.append(responder)
        until("the responder is online", lambda: self._online() - known, 120)
        if self.kind == "paramedic":  # it says that it is online before its fork server has imported anything
            until("a warm process waits", lambda: warm(responder), 120)
            until("it polls", lambda: self._polled() - polled, 120)  # what is told before, it may not hear
        return responder

    @property
    def responder(self) -> subprocess.Popen[bytes]:
        """The one that was started first of those that live."""
        return next(responder for responder in self._started if responder.poll() is None)

    @property
    def is_served(self) -> bool:
        """Whether a responder lives."""
        return any(responder.poll() is None for responder in self._started)

    def end(self, responder: subprocess.Popen[bytes]) -> None:
        """Kill it, unless it has ended."""
        if responder.poll() is None:
            responder.kill()
        responder.wait()

    def _online(self) -> set[str]:
        found = self.prefect.ask("POST", f"/work_pools/{self.name}/workers/filter", json={})
        return {worker["name"] for worker in found if worker["status"] == "ONLINE"}

    def _polled(self) -> set[str]:
        """When each queue was polled last."""
        queues = self.prefect.ask("POST", f"/work_pools/{self.name}/queues/filter", json={})
        return {queue["last_polled"] for queue in queues} - {None}

    def create(
        self,
        flow: str,
        *,
        notified: bool = False,
        queue: str = "default",
        due: datetime | None = None,
        **parameters: Any,
    ) -> str:
        """A run, due now unless it is said, and with `notified` the word of it that dispatch would send."""
        body = {
            "parameters": parameters,
            "work_queue_name": queue,
            "state": _scheduled(due),
            "tags": ["of-a-test"],
        }
        run = self.prefect.ask("POST", f"/deployments/{self.deployments[flow]}/create_flow_run", json=body)
        if notified:
            notify(self.store, RESPONDER, {"pool": self.name, "queue": queue, "run": run})
        return str(run["id"])

    def reschedule(self, run: str, due: datetime) -> None:
        """Let it be due then."""
        body = {"state": _scheduled(due), "force": True}
        self.prefect.ask("POST", f"/flow_runs/{run}/set_state", json=body)

    def cancel(self, run: str) -> None:
        """As an operator does it."""
        body = {"state": {"type": "CANCELLING"}}
        answer = self.prefect.ask("POST", f"/flow_runs/{run}/set_state", json=body)
        assert answer["status"] == "ACCEPT", answer

    def read(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = self.prefect.ask("GET", f"/flow_runs/{run}")
        return found

    def state(self, run: str) -> str:
        return str(self.read(run)["state_type"])

    def ends(self, run: str, seconds: float = 120) -> dict[str, Any]:
        """The run, once it has ended."""
        found: dict[str, Any] = until(
            f"run {run} ends", lambda: (ended := self.read(run))["state_type"] in FINAL and ended, seconds
        )
        return found

    def runs(self, run: str, seconds: float = 120) -> None:
        until(f"run {run} runs", lambda: self.state(run) == "RUNNING", seconds)

    def log(self) -> str:
        return (self.folder / "responder.log").read_text(errors="replace")

    def close(self) -> None:
        for responder in self._started:
            self.end(responder)


def _scheduled(due: datetime | None) -> dict[str, Any]:
    details = {"scheduled_time": due.isoformat()} if due else {}
    return {"type": "SCHEDULED", "state_details": details}


def warm(responder: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The processes that the responder's template has forked, oldest first."""
    forked = [
        process
        for process in psutil.Process(responder.pid).children(recursive=True)
        if _is_forked(process, responder.pid)
    ]
    return sorted(forked, key=lambda process: process.create_time())


def _is_forked(process: psutil.Process, responder: int) -> bool:
    try:
        return process.is_running() and process.ppid() != responder
    except psutil.NoSuchProcess:  # it ended meanwhile
        return False


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []
