"""A whole Paramedic for the kill table and the stories: one target each, barriers instead of sleeps."""

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from boundaries import Boundaries
from kill.authored import AGO, write_authored
from prefect_server import lay_out
from waiting import until

from paramedic import keys
from paramedic.audit import verification
from paramedic.demo.world import Mailbox, Service, World, free_port
from paramedic.incidents.incident import Incident, State
from paramedic.machine.clock import iso, utc_now
from paramedic.settings import Settings, load_settings
from paramedic.stack.stack import Stack
from paramedic.store import Store, acts, incidents, messages
from paramedic.store import trail as stored_trail
from paramedic.store.tables import inbox

TOKEN = "a-token-that-only-this-test-knows"

#: What `paramedic up` keeps running.
PROCESSES = {"prefect", "gateway", "dispatch", "watchdog", "responder"}

#: Quick enough for a test, slow enough for a busy machine.
PACE = {
    "PARAMEDIC_LEASE": "6s",
    "PARAMEDIC_RENEW": "1s",
    "PARAMEDIC_WATCHDOG_EVERY": "1s",
    "PARAMEDIC_CLAIM_WITHIN": "40s",  # a run that begins late is none that was lost: many begin at once here
    "PARAMEDIC_SILENT_AFTER": "120s",
    "PARAMEDIC_ACT_DEADLINE": "20s",
    "PARAMEDIC_CLOCK_SKEW": "5m",  # what breaks in one story meanwhile is none of another one's doing
    "PARAMEDIC_MESSAGES_A_MINUTE": "1000",  # many incidents of these stories come within one, each with its own mails
    "PARAMEDIC_FLEET_SHARE": "100",  # each row's own target is changed within minutes, and nothing else is there
    "PARAMEDIC_REOPEN_WITHIN": "100ms",  # what begins again is another incident in these stories
}

#: With one of these, Prefect's data are not in the data folder.
_ELSEWHERE = {"PARAMEDIC_PREFECT_API_URL", "PREFECT_SERVER_DATABASE_CONNECTION_URL"}


@dataclass
class Driver:
    """A whole Paramedic under test, with a service for every row."""

    folder: Path
    world: World
    mailbox: Mailbox
    boundaries: Boundaries
    settings: Settings
    stack: Stack
    store: Store
    gateway: str
    prefect: str
    senders: list[threading.Thread] = field(default_factory=list)
    keeper: int = field(default_factory=threading.get_ident)

    def service(self, name: str) -> Service:
        """The service, which runs from the first time that it is asked for."""
        return self.services([name])[0]

    def services(self, names: Iterable[str]) -> list[Service]:
        """As `service`: those that do not run yet start together."""
        named = {service.name: service for service in self.world.services}
        asked = [named[name] for name in names]
        new = [service for service in asked if not service.starts]
        for service in new:
            self.world.start(service)
        for service in new:
            wait_for(
                service.name,
                lambda service=service: service.starts and self.world.is_running(service),
                self.tick,
                seconds=60,
            )
        return asked

    def tick(self) -> None:
        """Keep Paramedic's processes running. Other threads leave it to the one that started them: they hang on its life."""
        if threading.get_ident() == self.keeper:
            self.stack.tick()

    def break_it(self, service: Service) -> None:
        wait_for("the service", lambda: _answers(f"{service.url}/health"), self.tick)
        httpx.get(f"{service.url}/break", timeout=5, trust_env=False).raise_for_status()

    def alert(self, service: Service, /, **given: str) -> dict[str, Any]:
        labels = {
            "alertname": f"Broken-{service.name}",
            "env": "kill",
            "instance": service.host,
            "program": service.name,
            "severity": "critical",
        }
        return {
            "status": "firing",
            "labels": labels | given,
            "annotations": {},
            "startsAt": iso(utc_now()),
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "",
            "fingerprint": "f404ecabc8dd5cd7",
        }

    def send(self, *alerts: dict[str, Any]) -> httpx.Response:
        """As Alertmanager does: again and again until it hears a 2xx."""
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = self.send_once(*alerts)
                if answer.status_code < 500:
                    return answer
            assert time.monotonic() < until, "the gateway never took the alert"
            time.sleep(0.1)

    def send_once(self, *alerts: dict[str, Any]) -> httpx.Response:
        """Whatever the gateway answers."""
        body = {
            "version": "4",
            "groupKey": "{}",
            "truncatedAlerts": 0,
            "status": alerts[0]["status"],
            "receiver": "paramedic",
            "groupLabels": {},
            "commonLabels": {},
            "commonAnnotations": {},
            "externalURL": "",
            "alerts": list(alerts),
        }
        return httpx.post(
            f"{self.gateway}/alerts/alertmanager",
            content=json.dumps(body),
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
            timeout=30,
            trust_env=False,
        )

    def send_meanwhile(self, *alerts: dict[str, Any]) -> None:
        """Send it while the test goes on: at some boundaries the gateway itself stands still."""
        thread = threading.Thread(target=self.send, args=alerts, daemon=True)
        thread.start()
        self.senders.append(thread)

    def incidents_on(self, service: Service) -> list[Incident]:
        with self.store.read() as tx:
            return [incident for incident in incidents.listed(tx, limit=500) if incident.target == target_of(service)]

    def ended(self, service: Service, *, seconds: float = 90) -> Incident:
        """The one incident of the service, once nobody works on it any more and its person was told."""

        def over() -> bool:
            found = self.incidents_on(service)
            if len(found) != 1 or found[0].state not in (State.RESOLVED, State.HANDED_OVER):
                return False
            with self.store.read() as tx:
                sent = [message for message in messages.of(tx, found[0].number) if message.state == "sent"]
            return bool(sent)

        self.until(f"the end of {service.name}", over, service, seconds=seconds)
        return self.incidents_on(service)[0]

    def until(self, what: str, holds: Callable[[], bool], service: Service, *, seconds: float) -> None:
        """Wait for it; where it does not come, say how far the service's incident came."""
        try:
            wait_for(what, holds, self.tick, seconds=seconds)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.told_of(service)}") from late

    def arm(self, point: str, service: Service) -> None:
        """Whoever comes to the boundary next, about the service, stands still there."""
        self.boundaries.arm(point, target_of(service))

    def stands_at(self, point: str, service: Service, subject: str | None = None) -> int:
        """Until somebody stands at the boundary; who. Where nobody comes, it says how far the incident came."""
        try:
            return self.boundaries.wait(point, self.tick, subject=subject or target_of(service), seconds=120)
        except AssertionError as nobody:
            raise AssertionError(f"{nobody}\n{self.told_of(service)}") from nobody

    def release(self, point: str, service: Service) -> None:
        """Whoever stands there goes on."""
        self.boundaries.release(point, target_of(service))

    def told_of(self, service: Service) -> str:
        """Its incidents' timelines, and what Prefect says of their runs."""
        lines = []
        for incident in self.incidents_on(service):
            with self.store.read() as tx:
                lines += [
                    f"{entry.at} {entry.what}: {entry.reason}"
                    for entry in stored_trail.entries(tx, incident=incident.number)
                ]
            lines += [f"run {run['id']} of {run['created']}: {run['state']}" for run in self.flow_runs(incident)]
        lines += [line for path in self.folder.glob("**/logs/prefect.log") for line in _tail(path)]
        logs = self.folder.glob("**/logs/responder.log")  # of each machine
        log = [line for path in logs for line in path.read_text(errors="replace").splitlines()]
        return "\n".join(lines + [line for line in log[-400:] if " | " in line][-60:])

    def acts_of(self, incident: Incident) -> list[acts.Act]:
        with self.store.read() as tx:
            return acts.of(tx, incident.number)

    def ask_prefect(self, method: str, path: str, **content: Any) -> Any:
        """Prefect's own answer; on SQLite it says 503 now and then, and is asked again."""
        answers: list[httpx.Response] = []

        def answered() -> bool:
            try:
                answers.append(self.call_prefect(method, path, **content))
            except httpx.TransportError:
                return False
            return answers[-1].status_code < 500

        wait_for("Prefect's answer", answered, self.tick, seconds=120)
        assert answers[-1].is_success, answers[-1].text
        return answers[-1].json() if answers[-1].content else None

    def call_prefect(self, method: str, path: str, **content: Any) -> httpx.Response:
        """One call of Prefect's API, with the login."""
        auth = self.stack.prefect_api.auth
        return httpx.request(method, f"{self.prefect}{path}", timeout=10, trust_env=False, auth=auth, **content)

    @property
    def prefect_env(self) -> dict[str, str]:
        """What Prefect's own client needs to speak to it."""
        login = ":".join(self.stack.prefect_api.auth or ())
        return {"PREFECT_API_URL": self.prefect} | ({"PREFECT_API_AUTH_STRING": login} if login else {})

    def flow_runs(self, incident: Incident) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = self.ask_prefect(
            "POST",
            "/flow_runs/filter",
            json={"flow_runs": {"tags": {"all_": [incident.id]}}, "sort": "START_TIME_ASC"},
        )
        return runs

    def prefect_is_well(self) -> None:
        wait_for("Prefect", lambda: _answers(f"{self.prefect}/health"), self.tick, seconds=120)

    def is_whole_again(self, *, seconds: float = 120) -> None:
        """Who was killed is back, so that the next alert finds everybody."""
        ours = PROCESSES - ({"prefect"} if self.settings.prefect_api_url else set())
        for what, there in {
            "every process": lambda: set(self.stack.pids()) == ours,
            "the gateway": lambda: _answers(f"{self.gateway}/healthz"),
            "Prefect": lambda: _answers(f"{self.prefect}/health"),
            "the warm processes": lambda: len(self.engines()) >= self.warm,
        }.items():
            wait_for(what, there, self.tick, seconds=seconds)

    def engines(self) -> list[int]:
        """The processes of the responder that run flows, or wait for one."""
        found = []
        with contextlib.suppress(psutil.Error, KeyError):  # it may just be starting again
            responder = self.stack.pids()["responder"]
            for child in psutil.Process(responder).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    command_line = " ".join(child.cmdline())
                    copied = "paramedic.responder.fork_server" in command_line and child.ppid() != responder
                    if copied or "prefect.engine" in command_line:
                        found.append(child.pid)
        return found

    @property
    def warm(self) -> int:
        """How many processes wait for a run; a stock worker has none."""
        return self.settings.warm_processes if self.settings.work_pool_type == "paramedic" else 0


def _tail(path: Path) -> list[str]:
    """What a process logged last: of Prefect's, calls that took long, and that it stood still."""
    return path.read_text(errors="replace").splitlines()[-20:]


def target_of(service: Service) -> str:
    """What the service is called in Paramedic, and at the boundaries of its run."""
    return f"{service.host}/{service.name}"


@contextmanager
def driving(folder: Path, services: list[tuple[str, str, str]], *, hosts: str = "", **env: str) -> Iterator[Driver]:
    """A whole Paramedic on embedded defaults, at a test's pace; `hosts` stands before the services in services.yaml."""
    for name in ("runbooks", "flows", "boundaries", "data", "world"):
        (folder / name).mkdir(mode=0o755, parents=True)
    boundaries = Boundaries(folder / "boundaries")
    with World(folder / "world", services, autostart=False, deployed_before=AGO) as world, Mailbox() as mailbox:
        write_authored(folder, world, hosts)
        environment = {
            "PARAMEDIC_DATA": str(folder / "data"),
            "PARAMEDIC_RUNBOOKS": str(folder / "runbooks"),
            "PARAMEDIC_FLOWS": str(folder / "flows"),
            "PARAMEDIC_SMTP_URL": mailbox.url,
            "PARAMEDIC_MAIL_FROM": "paramedic@example.org",
            "PARAMEDIC_GATEWAY_TOKENS": json.dumps({"test": TOKEN}),
            "PARAMEDIC_KILL_POINTS": str(boundaries.folder),
            "PARAMEDIC_PORT": str(free_port()),
            "PREFECT_SERVER_API_PORT": str(free_port()),
            **PACE,
            **env,
        }
        if not _ELSEWHERE & env.keys():
            environment |= lay_out(folder / "data" / "prefect")
        with _environment(environment):
            settings = load_settings()
            stack = Stack(settings)
            stack.start()
        try:
            stack.wait_ready(300)
            up = Driver(
                folder=folder,
                world=world,
                mailbox=mailbox,
                boundaries=boundaries,
                settings=settings,
                stack=stack,
                store=Store(settings.store()),
                gateway=stack.gateway_url,
                prefect=stack.prefect_url,
            )
            up.is_whole_again()  # `up` is ready before its warm processes are: a row would kill nobody
            yield up
        finally:
            supervisords = [world.pid(host) for host in {service.host for service in world.services}]
            for pid in [
                *stack.pids().values(),
                *supervisords,
            ]:  # how they end by themselves is a matter of tests/stack/
                with contextlib.suppress(ProcessLookupError):
                    kill(pid)
            stack.stop()


@contextmanager
def _environment(ours: dict[str, str]) -> Iterator[None]:
    """Inside, nobody else's settings and these; the children keep what they were started with."""
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(("PARAMEDIC_", "PREFECT_")):
            del os.environ[name]
    os.environ.update(ours)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def verify(up: Driver) -> None:
    """The trail is whole, and every alert that got its 202 has its decision."""
    with up.store.read() as tx:
        found = verification.verify(
            stored_trail.entries(tx),
            lambda seq: stored_trail.content(tx, seq),
            [],
            keys.signing_key(up.settings).public_key(),
            tx.store,
        )
        undecided = tx.conn.execute(inbox.select().where(inbox.c.state == "new")).all()
    assert found.verified, found.faults
    assert undecided == []


def wait_for(what: str, holds: Callable[[], bool], tick: Callable[[], None], *, seconds: float = 30) -> None:
    """As `until`, with Paramedic kept running meanwhile."""
    until(what, holds, seconds, tick=tick)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code < 600
    except httpx.TransportError:
        return False
