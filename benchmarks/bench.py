"""A whole Paramedic whose first steps leave a stamp, with one alert or many sent to it."""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
from authored import ONCALL, PLAYBOOK, RUNBOOK

from paramedic.demo.world import Mailbox, World, free_port
from paramedic.machine.clock import iso, utc_now
from paramedic.settings import load_settings
from paramedic.stack.stack import Stack
from paramedic.store import Store, incidents
from paramedic.store import trail as stored_trail

TOKEN = "a-token-that-only-this-benchmark-knows"  # noqa: S105 - the secret of a benchmark

#: After each sample, ours and the yardstick's: what the last run left to do is done by then.
PAUSE_SECONDS = 1.0


class Bench:
    """A whole Paramedic whose first steps leave a stamp."""

    def __init__(self, folder: Path, stack: Stack, store: Store) -> None:
        self.stack, self._store = stack, store
        self._stamps = folder / "stamps"
        self._gateway = httpx.Client(trust_env=False, timeout=30)
        self.prefect = httpx.Client(
            trust_env=False, timeout=30, base_url=stack.prefect_url, auth=stack.prefect_api.auth
        )
        self._next = 0

    def asked(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Prefect's answer. A 503 is asked again at once, as often as it comes."""
        while (answer := self.prefect.post(path, json=body)).status_code == 503:
            time.sleep(0.02)
        said: dict[str, Any] = answer.raise_for_status().json()
        return said

    def first_steps(self, count: int, *, spread_seconds: float = 0) -> list[float]:
        """One alert after the other, each when the one before has ended: milliseconds to its first step.

        A worker that polls meets the next alert always at the same moment of its period: `spread_seconds` is that period,
        and the alerts come at all of its moments.
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
        """So many alerts in one webhook, each for a target of its own: until the last one's first step."""
        targets = [self._target() for _ in range(count)]
        posted = self._post("stamp", targets, "stamp")
        return round(1000 * (max(self._stamp(one) for one in targets) - posted), 1)

    def restarts(self, world: World) -> list[float]:
        """The demo's service says no: until the intent of its restart, with the evidence gathered first."""
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
        resident = sum(_proportional_kb(one.pid) for one in family) / 1024
        return {"idle_rss_mb": round(resident, 1), "idle_cpu_percent": round(100 * busy, 2)}

    def _family(self) -> list[psutil.Process]:
        head = psutil.Process(self.stack.pids()["responder"])
        return [head, *head.children(recursive=True)]

    def _target(self) -> str:
        self._next += 1
        return f"b-{self._next}"

    def _post(self, env: str, hosts: str | list[str], program: str) -> float:
        alerts = [_alert(env, host, program) for host in ([hosts] if isinstance(hosts, str) else hosts)]
        body = {
            "version": "4",
            "groupKey": "{}",
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "paramedic",
            "groupLabels": {},
            "commonLabels": {},
            "commonAnnotations": {},
            "externalURL": "",
            "alerts": alerts,
        }
        posted = time.time()
        answer = self._gateway.post(
            f"{self.stack.gateway_url}/alerts/alertmanager", json=body, headers={"Authorization": f"Bearer {TOKEN}"}
        )
        answer.raise_for_status()
        return posted

    def _stamp(self, host: str) -> float:
        file = self._stamps / f"{host}_stamp"
        until(lambda: file.exists() and bool(file.read_text()), self.stack.tick, seconds=180)
        return float(file.read_text())

    def _ended(self, target: str) -> bool:
        with self._store.read() as tx:
            found = [one for one in incidents.listed(tx, limit=50) if one.target == target]
        return bool(found) and found[0].ended_at is not None

    def _intended(self, target: str) -> float:
        with self._store.read() as tx:
            number = next(one.number for one in incidents.listed(tx, limit=50) if one.target == target)
            entries = list(stored_trail.entries(tx, incident=number))
        return datetime.fromisoformat(next(one.at for one in entries if one.phase == "intent")).timestamp()


@contextmanager
def up(folder: Path, world: World, mailbox: Mailbox, **env: str) -> Iterator[Bench]:
    """`paramedic up` in this folder, ready, with these variables in its environment."""
    for name in ("runbooks", "flows", "stamps"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    stamped = "".join(
        f'      - {{host: b-{number}, supervisord: {{program: stamp, address: "http://127.0.0.1:9"}}}}\n'
        for number in range(1, 200)
    )
    (folder / "runbooks" / "services.yaml").write_text(
        world.services_yaml("tracking-api") + f"  stamps:\n    owner: nobody\n    targets:\n{stamped}"
    )
    (folder / "runbooks" / "oncall.yaml").write_text(ONCALL)
    for name, service, playbook in (("stamp", "stamps", "bench-stamp"), ("restart", "tracking-api", "restart-service")):
        text = RUNBOOK.format(name=name, service=service, env=name, playbook=playbook)
        (folder / "runbooks" / f"{name}.md").write_text(text)
    (folder / "flows" / "bench_stamp.py").write_text(PLAYBOOK)
    for name in [one for one in os.environ if one.startswith(("PARAMEDIC_", "PREFECT_", "PYTHONDONTWRITE"))]:
        del os.environ[name]
    os.environ |= {
        "PARAMEDIC_DATA": str(folder / "data"),
        "PARAMEDIC_RUNBOOKS": str(folder / "runbooks"),
        "PARAMEDIC_FLOWS": str(folder / "flows"),
        "PARAMEDIC_SMTP_URL": mailbox.url,
        "PARAMEDIC_MAIL_FROM": "paramedic@example.org",
        "PARAMEDIC_GATEWAY_TOKENS": json.dumps({"bench": TOKEN}),
        "PARAMEDIC_PORT": str(free_port()),
        "PREFECT_SERVER_API_PORT": str(free_port()),
        "BENCH_STAMPS": str(folder / "stamps"),
        **env,
    }
    settings = load_settings()
    stack = Stack(settings)
    stack.start()
    try:
        stack.wait_ready(240)
        yield Bench(folder, stack, Store(settings.store()))
    finally:
        stack.stop()


def _alert(env: str, host: str, program: str) -> dict[str, Any]:
    labels = {"alertname": "Bench", "env": env, "instance": host, "program": program, "severity": "critical"}
    return {
        "status": "firing",
        "labels": labels,
        "annotations": {},
        "startsAt": iso(utc_now()),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": "f404ecabc8dd5cd7",
    }


def until(holds: Callable[[], bool], tick: Callable[[], None], *, seconds: float = 30) -> None:
    """Wait until it holds, ticking meanwhile. Raises SystemExit after so many seconds."""
    given_up_at = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > given_up_at:
            raise SystemExit(f"nothing came within {seconds:.0f} s")
        tick()
        time.sleep(0.03)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _cpu_seconds(family: list[psutil.Process]) -> float:
    total = 0.0
    for one in family:
        with contextlib.suppress(psutil.Error):
            total += sum(one.cpu_times()[:2])
    return total


def _proportional_kb(pid: int) -> int:
    """Its share of the memory: a page that n processes have counts as an n-th."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
