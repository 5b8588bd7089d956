"""From the sixth failed log-in to the first step of a playbook, beside the same playbook by a webhook. `make bench-logins`.

Both in one go on one `paramedic up`, embedded defaults, with a check `every: 250ms`:

    sixth_login  the sixth line of sshd about a new address is written, to the first line of the first `@reads` step
    webhook      POST /alerts/alertmanager to the same line, of the same playbook: what is left is the detection
    looks_ms     one look of the check at the log, in a process that follows it, with a thousand new lines and with none

`--json FILE` writes the figures; `--quick` takes few samples.
"""

import argparse
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from bench import PAUSE_SECONDS, Bench
from measured_stack import STAMP, stamped, started, until

from paramedic.demo.world import Mailbox
from paramedic.kinds.failed_logins import sshd
from paramedic.kinds.log_follower import LogFollower
from paramedic.store import Store, incidents
from paramedic.transports.local import Local

_EVERY = "250ms"

_TARGET = "localhost/blocklist:abusers"

_SERVICE = """\
  ssh:
    targets:
      - host: localhost
        blocklist: {name: abusers, table: inet filter, ipv4: blocked4}
"""

_RUNBOOK = """\
---
runbook: ssh-logins
service: ssh
when:
  - {{check: failed_logins, file: {log}, every: {every}, timeout: {every}}}
mode: act
playbook: bench-stamp
with:
  target: {{blocklist: "{{blocklist}}", host: "{{instance}}"}}
  remedies: [block_address: {{address: "{{address}}", for: 1h}}]
  verify: {{check: failures, stable: 1s, within: 10s}}
guardrails: {{budget: 1000 per hour, cooldown: 0s}}
settle: 0s
---
# A benchmark's

**Meaning.** None.

**Impact.** None.

## Diagnosis

1. None.

## Mitigation

1. None.
"""


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description="From the sixth failed log-in to the first step.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--quick", action="store_true", help="few samples")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pl-") as folder:
        figures = _measured(Path(folder), 8 if asked.quick else 40)
    for name, row in figures.items():
        print(f"{name:14}", "  ".join(f"{key} {value}" for key, value in row.items()))
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2) + "\n")


def _measured(folder: Path, count: int) -> dict[str, dict[str, float]]:
    log = folder / "auth.log"
    log.write_text("")
    (folder / "up" / "runbooks").mkdir(parents=True)
    (folder / "up" / "runbooks" / "ssh-logins.md").write_text(_RUNBOOK.format(log=log, every=_EVERY))
    services = "services:\n" + stamped(count) + _SERVICE
    with Mailbox() as mailbox, started(folder / "up", mailbox, services, (STAMP,)) as stack:
        store = Store(stack.settings.store())
        bench = Bench(folder / "up", stack, store)
        until(lambda: _is_measured(store), stack.tick, seconds=180)
        time.sleep(10)
        stamp = folder / "up" / "stamps" / _TARGET.replace("/", "_")
        took = [_sixth(bench, store, log, stamp, number) for number in range(count)]
        webhook = bench.first_steps(count)
    return {"sixth_login": _summary(took), "webhook": _summary(webhook), "looks_ms": _looks(folder / "looked.log")}


def _sixth(bench: Bench, store: Store, log: Path, stamp: Path, number: int) -> float:
    """Milliseconds from the sixth line about a new address to the first step."""
    stamp.unlink(missing_ok=True)
    address = f"198.51.100.{number + 1}"
    _write(log, address, 5)
    time.sleep(0.6 + 0.25 * (number % 7) / 7)  # the five are seen, and the sixth comes at any moment of the period
    _write(log, address, 1)
    written = time.time()
    until(lambda: stamp.exists() and bool(stamp.read_text()), bench.stack.tick, seconds=60, every=0.01)
    took = 1000 * (float(stamp.read_text()) - written)
    until(lambda: _is_over(store), bench.stack.tick, seconds=60)
    time.sleep(PAUSE_SECONDS)
    return took


def _write(log: Path, address: str, times: int) -> None:
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
    with log.open("a") as file:
        file.write(f"{stamp} web sshd[77]: Failed password for root from {address} port 40022 ssh2\n" * times)


def _is_measured(store: Store) -> bool:
    from paramedic.store import check_states  # tables: only where a store is read

    with store.read() as tx:
        return any(state.standing.unknown_since is None for state in check_states.listed(tx))


def _is_over(store: Store) -> bool:
    with store.read() as tx:
        found = [incident for incident in incidents.listed(tx, limit=5) if incident.target == _TARGET]
    return bool(found) and found[0].ended_at is not None


def _looks(log: Path) -> dict[str, float]:
    follower, new, none = LogFollower(), list[float](), list[float]()
    log.write_text("")
    for _ in range(30):
        _write(log, "198.51.100.1", 1000)
        for times in (new, none):
            began = time.perf_counter()
            found = follower.read(lambda after: Local().log(str(log), 0, after=after), 600)
            for line in found.lines:
                sshd(line)
                found.at(line)
            times.append(1000 * (time.perf_counter() - began))
    return {"thousand_lines": round(statistics.median(new), 2), "none": round(statistics.median(none), 3)}


def _summary(took: list[float]) -> dict[str, float]:
    ordered = sorted(took)
    rank = {share: ordered[min(len(ordered) - 1, int(share * len(ordered) / 100))] for share in (50, 95)}
    return {"p50_ms": round(rank[50], 1), "p95_ms": round(rank[95], 1), "n": len(ordered)}


if __name__ == "__main__":
    main()
