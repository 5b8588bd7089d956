"""A whole Paramedic whose first steps leave a stamp, with one alert or many sent to it."""

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
from alertmanager import PATH, bench_alert, body
from measured_stack import RESTART, STAMP, TOKEN, proportional_kb, stamp_file, stamped, started, until

from paramedic.demo.world import Mailbox, World
from paramedic.machine.clock import iso, utc_now
from paramedic.stack.stack import Stack
from paramedic.store import Store, incidents
from paramedic.store import trail as stored_trail

#: After each sample, ours and the yardstick's: what the last run left to do is done by then.
PAUSE_SECONDS = 1.0


class Bench:
    """A whole Paramedic whose first steps leave a stamp."""

    def __init__(self, folder: Path, stack: Stack, store: Store) -> None:
        self.stack, self._store = stack, store
        self._folder = folder
        self._gateway = httpx.Client(trust_env=False, timeout=30)
        self.prefect = httpx.Client(
            trust_env=False, timeout=30, base_url=stack.prefect_url, auth=stack.prefect_api.auth
        )
        self._next = 0

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Prefect's answer to a POST, which is repeated as long as it is answered 503."""
        while (answer := self.prefect.post(path, json=body)).status_code == 503:
            time.sleep(0.02)
        payload: dict[str, Any] = answer.raise_for_status().json()
        return payload

    def first_steps(self, count: int, *, spread_seconds: float = 0) -> list[float]:
        """Milliseconds to the first step of `count` alerts, each sent when the incident before it has ended.

        A worker that polls would meet every alert at the same moment of its period: `spread_seconds` is that period, and
        the alerts are spread over it.
        """
        took = []
        for number in range(count):
            time.sleep(spread_seconds * number / count)
            took.append(self._first_step())
        return took

    def _first_step(self) -> float:
        target = self._target()
        posted = self._post("stamp", target, "stamp")
        taken = self._stamp(target) - posted
        until(lambda: self._ended(f"{target}/stamp"), self.stack.tick)
        time.sleep(PAUSE_SECONDS)
        return 1000 * taken

    def storm(self, count: int) -> float:
        """Milliseconds to the last first step of `count` alerts in one webhook, each about a target of its own."""
        targets = [self._target() for _ in range(count)]
        posted = self._post("stamp", targets, "stamp")
        return round(1000 * (max(self._stamp(target) for target in targets) - posted), 1)

    def restarts(self, world: World) -> list[float]:
        """Milliseconds to the intent of each service's restart, after its alert; the evidence is gathered before it."""
        took = []
        for service in world.services:
            until(lambda url=service.url: _answers(f"{url}/health"), self.stack.tick)
            httpx.get(f"{service.url}/break", timeout=5, trust_env=False).raise_for_status()
            posted = self._post("restart", service.host, service.name)
            until(lambda at=f"{service.host}/{service.name}": self._ended(at), self.stack.tick, seconds=180)
            took.append(1000 * (self._intended(f"{service.host}/{service.name}") - posted))
        return took

    def idle(self, seconds: float) -> dict[str, float]:
        """What the responder and its warm processes need while nothing happens; shared pages are counted once."""
        until(lambda: len(self._family()) >= 5, self.stack.tick)
        time.sleep(5)  # what the last run left to do
        family = self._family()
        before, began = _cpu_seconds(family), time.monotonic()
        time.sleep(seconds)
        busy = (_cpu_seconds(family) - before) / (time.monotonic() - began)
        resident = sum(proportional_kb(process.pid) for process in family) / 1024
        return {"idle_rss_mb": round(resident, 1), "idle_cpu_percent": round(100 * busy, 2)}

    def _family(self) -> list[psutil.Process]:
        head = psutil.Process(self.stack.pids()["responder"])
        return [head, *head.children(recursive=True)]

    def _target(self) -> str:
        self._next += 1
        return f"b-{self._next}"

    def _post(self, env: str, hosts: str | list[str], program: str) -> float:
        began = iso(utc_now())
        alerts = [bench_alert(env, host, program, began) for host in ([hosts] if isinstance(hosts, str) else hosts)]
        headers = {"Authorization": f"Bearer {TOKEN}"}
        posted = time.time()
        answer = self._gateway.post(f"{self.stack.gateway_url}{PATH}", json=body(alerts), headers=headers)
        answer.raise_for_status()
        return posted

    def _stamp(self, host: str) -> float:
        file = stamp_file(self._folder, host)
        until(lambda: file.exists() and bool(file.read_text()), self.stack.tick, seconds=180)
        return float(file.read_text())

    def _ended(self, target: str) -> bool:
        with self._store.read() as tx:
            found = [incident for incident in incidents.listed(tx, limit=50) if incident.target == target]
        return bool(found) and found[0].ended_at is not None

    def _intended(self, target: str) -> float:
        with self._store.read() as tx:
            number = next(incident.number for incident in incidents.listed(tx, limit=50) if incident.target == target)
            entries = list(stored_trail.entries(tx, incident=number))
        return datetime.fromisoformat(next(entry.at for entry in entries if entry.phase == "intent")).timestamp()


@contextmanager
def up(folder: Path, world: World, mailbox: Mailbox, **env: str) -> Iterator[Bench]:
    """`paramedic up` in this folder, ready, with these variables in its environment."""
    services_yaml = world.services_yaml("tracking-api") + stamped(199)
    with started(folder, mailbox, services_yaml, (STAMP, RESTART), **env) as stack:
        yield Bench(folder, stack, Store(stack.settings.store()))


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _cpu_seconds(family: list[psutil.Process]) -> float:
    total = 0.0
    for process in family:
        with contextlib.suppress(psutil.Error):
            total += sum(process.cpu_times()[:2])
    return total
