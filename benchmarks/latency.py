"""From the webhook's POST to the first step's first line, beside Prefect's own ways. `make bench-latency`.

All of it in one go on one machine, on embedded defaults:

    paramedic     POST /alerts/alertmanager to the first line of the first `@reads` step of a playbook, on the warm responder
    stock_worker  the same, on Prefect's own `process` worker with its default poll, every ten seconds
    stock_worker_1s  the same, polling every second, as `paramedic up` has it
    serve         Prefect alone, no Paramedic: `create_flow_run` to the first line of a flow that `flow.serve` waits with
    yardstick     two bare calls on one kept connection, one after the other: `create_flow_run`, `set_state` Running

Besides: twenty alerts for twenty targets at once (the last one's first step), the intent of the demo service's restart
with the evidence gathered first, what four idle warm processes need, and how soon `paramedic up` is ready on a store that
is there already. `--json FILE` writes the figures; `--quick` takes few samples, to see that it works.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

from paramedic.demo.world import Mailbox, World, free_port
from paramedic.machine.clock import iso, utc_now
from paramedic.settings import load_settings
from paramedic.stack.stack import Stack
from paramedic.store import Store, incidents
from paramedic.store import trail as kept

TOKEN = "a-token-that-only-this-benchmark-knows"  # noqa: S105 - the secret of a benchmark

PLAYBOOK = '''\
import os
import time
from datetime import timedelta
from pathlib import Path

from paramedic.incidents.incident import Incident
from paramedic.incidents.outcome import Outcome
from paramedic.catalog.runbook import Runbook
from tasks.guard import exclusive
from tasks.kinds import reads
from tasks.notify import recovered
from tasks.playbook import playbook


@reads(retries=0, timeout=timedelta(seconds=30))
def first_step(incident: Incident) -> None:
    now = time.time()
    Path(os.environ["BENCH_STAMPS"], incident.target.replace("/", "_")).write_text(repr(now))


@playbook
def bench_stamp(incident: Incident, runbook: Runbook) -> Outcome:
    """Write down when the first step began."""
    with exclusive(incident.target):
        first_step(incident)
        return recovered(incident)
'''

SERVED = """\
import sys
import time
from pathlib import Path

from prefect import flow


@flow(persist_result=False)
def served(stamp: str) -> None:
    Path(stamp).write_text(repr(time.time()))


if __name__ == "__main__":
    served.serve(name="served")
"""

RUNBOOK = """\
---
runbook: {name}
service: {service}
when:
  - alert: '{{env="{env}"}}'
mode: act
playbook: {playbook}
with:
  target: {{supervisord: "{{program}}", host: "{{instance}}"}}
  evidence: [process-tree, memory, log-tail]
  verify: {{health: ok, stable: 1s, within: 10s}}
guardrails: {{budget: 1000 per hour, cooldown: 1s}}
---
# A benchmark's

**Meaning.** None.

**Impact.** None.

## Diagnosis

1. None.

## Mitigation

1. None.
"""

ONCALL = """\
people:
  ada: {name: Ada, email: ada@example.org}
rotation: {zone: UTC, starts: 2026-01-05 09:00, every: 1 week, people: [ada]}
policies:
  default: {rungs: [{tell: oncall}]}
"""

#: What restarts are measured with.
_RESTARTS = 10

#: After each sample, ours and the yardstick's: what the last run left to do is done by then.
_PAUSE_SECONDS = 1.0

#: How often a worker of Prefect's asks for runs, unless it is told otherwise.
_POLL_SECONDS = 10


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description="From the webhook to the first step.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--quick", action="store_true", help="few samples")
    asked = parser.parse_args()
    ours, theirs = (10, 3) if asked.quick else (100, 10)
    with tempfile.TemporaryDirectory(prefix="pl-") as folder:
        told = _measured(Path(folder), ours, theirs, quiet_seconds=5 if asked.quick else 30)
    _print(told)
    if asked.json:
        asked.json.write_text(json.dumps(told, indent=2) + "\n")


def _measured(folder: Path, ours: int, theirs: int, *, quiet_seconds: float) -> dict[str, Any]:
    told: dict[str, Any] = {}
    services = [(f"api-{number}", "web-1", "") for number in range(_RESTARTS)]
    with World(folder / "world", services) as world, Mailbox() as mailbox:
        with _up(folder / "ours", world, mailbox, PARAMEDIC_WARM_PROCESSES="4") as bench:
            told["paramedic"] = _summary(bench.first_steps(ours))
            told["yardstick"] = _summary(_yardstick(bench, ours))
            told["storm20_last_ms"] = bench.storm(20)
            told["restart_p50_ms"] = round(statistics.median(bench.restarts(world)), 1)
            told |= bench.idle(quiet_seconds)
            told["serve"] = _summary(_serve(bench, folder, theirs))
        began = time.monotonic()
        with _up(folder / "ours", world, mailbox):
            told["up_ready_s"] = round(time.monotonic() - began, 2)
        stock = {"PARAMEDIC_WORK_POOL_TYPE": "process"}
        with _up(folder / "stock", world, mailbox, **stock, PREFECT_WORKER_QUERY_SECONDS=str(_POLL_SECONDS)) as bench:
            told["stock_worker"] = _summary(bench.first_steps(theirs, spread_seconds=_POLL_SECONDS))
        with _up(folder / "stock-1s", world, mailbox, **stock) as bench:
            told["stock_worker_1s"] = _summary(bench.first_steps(theirs))
    return told


class Bench:
    """A whole Paramedic whose first steps leave a stamp."""

    def __init__(self, folder: Path, stack: Stack, store: Store) -> None:
        self.stack, self._store = stack, store
        self._stamps = folder / "stamps"
        self._gateway = httpx.Client(trust_env=False, timeout=30)
        self.prefect = httpx.Client(trust_env=False, timeout=30, base_url=stack.prefect_url, auth=stack.prefect_auth)
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
        _until(lambda: self._ended(f"{target}/stamp"), self.stack.tick)
        time.sleep(_PAUSE_SECONDS)
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
            _until(lambda url=service.url: _answers(f"{url}/health"), self.stack.tick)
            httpx.get(f"{service.url}/break", timeout=5, trust_env=False).raise_for_status()
            posted = self._post("restart", service.host, service.name)
            _until(lambda at=f"{service.host}/{service.name}": self._ended(at), self.stack.tick, seconds=60)
            took.append(1000 * (self._intended(f"{service.host}/{service.name}") - posted))
        return took

    def idle(self, seconds: float) -> dict[str, float]:
        """What the responder and its warm processes need while nothing happens; shared pages are counted once."""
        _until(lambda: len(self._family()) >= 5, self.stack.tick)
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
        _until(lambda: file.exists() and bool(file.read_text()), self.stack.tick, seconds=60)
        return float(file.read_text())

    def _ended(self, target: str) -> bool:
        with self._store.read() as tx:
            found = [one for one in incidents.listed(tx, limit=50) if one.target == target]
        return bool(found) and found[0].ended_at is not None

    def _intended(self, target: str) -> float:
        with self._store.read() as tx:
            number = next(one.number for one in incidents.listed(tx, limit=50) if one.target == target)
            entries = list(kept.entries(tx, incident=number))
        return datetime.fromisoformat(next(one.at for one in entries if one.phase == "intent")).timestamp()


@contextmanager
def _up(folder: Path, world: World, mailbox: Mailbox, **env: str) -> Iterator[Bench]:
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


def _yardstick(bench: Bench, count: int) -> list[float]:
    """The two calls that must be there, with nothing around them."""
    deployment = bench.prefect.get("/deployments/name/bench-stamp/bench-stamp").raise_for_status().json()["id"]
    far = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2099-01-01T00:00:00Z"}}  # no worker takes it
    parameters = {"run": {"incident": "0" * 8 + "-0000-0000-0000-" + "0" * 12 + "/INC-1", "attempt": 1}}
    took = []
    for _ in range(count):
        began = time.perf_counter()
        body = {"parameters": parameters, "state": far}
        run = bench.asked(f"/deployments/{deployment}/create_flow_run", body)["id"]
        bench.asked(f"/flow_runs/{run}/set_state", {"state": {"type": "RUNNING"}, "force": True})
        took.append(1000 * (time.perf_counter() - began))
        bench.asked(f"/flow_runs/{run}/set_state", {"state": {"type": "COMPLETED"}, "force": True})
        time.sleep(_PAUSE_SECONDS)
    return took


def _serve(bench: Bench, folder: Path, count: int) -> list[float]:
    """`flow.serve`, as Prefect's own quick way has it."""
    script, log = folder / "served.py", folder / "served.log"
    script.write_text(SERVED)
    login = ":".join(bench.stack.prefect_auth or ())
    env = dict(os.environ) | {"PREFECT_API_URL": bench.stack.prefect_url, "PREFECT_HOME": str(folder / "home")}
    env |= {"PREFECT_API_AUTH_STRING": login} if login else {}
    with log.open("wb") as written:
        process = subprocess.Popen([sys.executable, script], env=env, stdout=written, stderr=written)
    try:
        found: list[str] = []

        def there() -> bool:
            answer = bench.prefect.get("/deployments/name/served/served")
            found[:] = [answer.json()["id"]] if answer.is_success else []
            return bool(found)

        _until(there, bench.stack.tick, seconds=60)
        took = []
        for number in range(count):
            stamp = folder / f"served-{number}"
            posted = time.time()
            bench.asked(f"/deployments/{found[0]}/create_flow_run", {"parameters": {"stamp": str(stamp)}})
            _until(lambda at=stamp: at.exists() and bool(at.read_text()), bench.stack.tick, seconds=120)
            took.append(1000 * (float(stamp.read_text()) - posted))
        return took
    finally:
        process.terminate()
        process.wait(30)


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


def _until(holds: Callable[[], bool], tick: Callable[[], None], *, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
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


def _summary(took: list[float]) -> dict[str, float]:
    ordered = sorted(took)

    def rank(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)

    return {"p50_ms": rank(0.5), "p95_ms": rank(0.95), "p99_ms": rank(0.99), "n": len(ordered)}


def _print(told: dict[str, Any]) -> None:
    ours = told["paramedic"]["p50_ms"]
    print(f"{'':16}{'p50':>10}{'p95':>10}{'p99':>10}{'n':>6}   ms, and the median against ours")
    for name in ("paramedic", "yardstick", "serve", "stock_worker", "stock_worker_1s"):
        one = told[name]
        ratio = one["p50_ms"] / ours
        print(f"{name:16}{one['p50_ms']:>10}{one['p95_ms']:>10}{one['p99_ms']:>10}{one['n']:>6}   {ratio:.2f}x")
    for name in ("storm20_last_ms", "restart_p50_ms", "idle_rss_mb", "idle_cpu_percent", "up_ready_s"):
        print(f"{name:18}{told[name]:>10}")


if __name__ == "__main__":
    main()
