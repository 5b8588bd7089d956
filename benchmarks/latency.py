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
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import PAUSE_SECONDS, Bench, up
from measured_stack import until

from paramedic.demo.world import Mailbox, World

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

#: What restarts are measured with.
_RESTARTS = 10

#: How often Prefect's own worker polls for runs, by default.
_POLL_SECONDS = 10


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description="From the webhook to the first step.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--quick", action="store_true", help="few samples")
    parser.add_argument("--no-shortcuts", action="store_true", help="Paramedic with prefect_shortcuts off")
    asked = parser.parse_args()
    ours, theirs = (10, 3) if asked.quick else (100, 10)
    with tempfile.TemporaryDirectory(prefix="pl-") as folder:
        shortcuts = {"PARAMEDIC_PREFECT_SHORTCUTS": str(not asked.no_shortcuts).lower()}
        figures = _measured(Path(folder), ours, theirs, quiet_seconds=5 if asked.quick else 30, env=shortcuts)
    _print(figures)
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2) + "\n")


def _measured(folder: Path, ours: int, theirs: int, *, quiet_seconds: float, env: Mapping[str, str]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    services = [(f"api-{number}", "web-1", "") for number in range(_RESTARTS)]
    with World(folder / "world", services) as world, Mailbox() as mailbox:
        with up(folder / "ours", world, mailbox, PARAMEDIC_WARM_PROCESSES="4", **env) as bench:
            figures["paramedic"] = _summary(bench.first_steps(ours))
            figures["yardstick"] = _summary(_yardstick(bench, ours))
            figures["storm20_last_ms"] = bench.storm(20)
            figures["restart_p50_ms"] = round(statistics.median(bench.restarts(world)), 1)
            figures |= bench.idle(quiet_seconds)
            figures["serve"] = _summary(_serve(bench, folder, theirs))
        began = time.monotonic()
        with up(folder / "ours", world, mailbox):
            figures["up_ready_s"] = round(time.monotonic() - began, 2)
        stock = {"PARAMEDIC_WORK_POOL_TYPE": "process"}
        with up(folder / "stock", world, mailbox, **stock, PREFECT_WORKER_QUERY_SECONDS=str(_POLL_SECONDS)) as bench:
            figures["stock_worker"] = _summary(bench.first_steps(theirs, spread_seconds=_POLL_SECONDS))
        with up(folder / "stock-1s", world, mailbox, **stock) as bench:
            figures["stock_worker_1s"] = _summary(bench.first_steps(theirs))
    return figures


def _yardstick(bench: Bench, count: int) -> list[float]:
    """The two calls that must be there, with nothing around them."""
    deployment = bench.prefect.get("/deployments/name/bench-stamp/bench-stamp").raise_for_status().json()["id"]
    far = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2099-01-01T00:00:00Z"}}  # no worker takes it
    parameters = {"run": {"incident": "0" * 8 + "-0000-0000-0000-" + "0" * 12 + "/INC-1", "attempt": 1}}
    took = []
    for _ in range(count):
        began = time.perf_counter()
        body = {"parameters": parameters, "state": far}
        run = bench.post(f"/deployments/{deployment}/create_flow_run", body)["id"]
        bench.post(f"/flow_runs/{run}/set_state", {"state": {"type": "RUNNING"}, "force": True})
        took.append(1000 * (time.perf_counter() - began))
        bench.post(f"/flow_runs/{run}/set_state", {"state": {"type": "COMPLETED"}, "force": True})
        time.sleep(PAUSE_SECONDS)
    return took


def _serve(bench: Bench, folder: Path, count: int) -> list[float]:
    """`flow.serve`, as Prefect's own quick way has it."""
    script, log = folder / "served.py", folder / "served.log"
    script.write_text(SERVED)
    login = ":".join(bench.stack.prefect_api.auth or ())
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

        until(there, bench.stack.tick, seconds=60)
        took = []
        for number in range(count):
            stamp = folder / f"served-{number}"
            posted = time.time()
            bench.post(f"/deployments/{found[0]}/create_flow_run", {"parameters": {"stamp": str(stamp)}})
            until(lambda at=stamp: at.exists() and bool(at.read_text()), bench.stack.tick, seconds=120)
            took.append(1000 * (float(stamp.read_text()) - posted))
        return took
    finally:
        process.terminate()
        process.wait(30)


def _summary(took: list[float]) -> dict[str, float]:
    ordered = sorted(took)

    def rank(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)

    return {"p50_ms": rank(0.5), "p95_ms": rank(0.95), "p99_ms": rank(0.99), "n": len(ordered)}


def _print(figures: dict[str, Any]) -> None:
    ours = figures["paramedic"]["p50_ms"]
    print(f"{'':16}{'p50':>10}{'p95':>10}{'p99':>10}{'n':>6}   ms, and the median against ours")
    for name in ("paramedic", "yardstick", "serve", "stock_worker", "stock_worker_1s"):
        row = figures[name]
        ratio = row["p50_ms"] / ours
        print(f"{name:16}{row['p50_ms']:>10}{row['p95_ms']:>10}{row['p99_ms']:>10}{row['n']:>6}   {ratio:.2f}x")
    for name in ("storm20_last_ms", "restart_p50_ms", "idle_rss_mb", "idle_cpu_percent", "up_ready_s"):
        print(f"{name:18}{figures[name]:>10}")


if __name__ == "__main__":
    main()
