"""How many HTTP targets one round of checks measures, and what it costs. `make bench-checks`, in one run on one machine:

    paramedic  the whole `paramedic up` on embedded defaults, with one runbook whose check asks every target of a service
               (10,000 of them) every 30 s; an nginx answers for all
    bare       the same GETs in the same rhythm, by libcurl from as many threads as there are looks at once, nothing kept

Of each: the processor time of the processes that ask (a share of one core), their memory (pages that several share count once),
and how many samples came late: by more than a twentieth of the period and a second. `--targets`, `--seconds` for a smaller one.
"""

import argparse
import contextlib
import resource
import shutil
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psutil
from measured_stack import proportional_kb, settled, until
from sqlalchemy import func, select

from paramedic.demo.world import free_port
from paramedic.stack.stack import Stack
from paramedic.store import Store
from paramedic.store.tables import check_samples
from paramedic.transports import http_probe

_EVERY = 30.0

#: Jitter of the period, and a second.
_LATE = 1.05 * _EVERY + 1

_RUNBOOK = """\
---
runbook: fleet
service: fleet
when:
  - check: "http://127.0.0.1:{port}/{{host}}"
    every: 30s
    timeout: 5s
    window: 5m
    error_rate: {{critical: 50%}}
    latency_p50: {{warning: 1s}}
mode: act
playbook: restart-service
with:
  target: {{systemd: api.service, host: "{{host}}"}}
  evidence: [process-tree]
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

_NGINX = """\
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 "well\\n"; }} }}
}}
"""


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description="What checks of many targets cost.")
    parser.add_argument("--targets", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=120)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pl-") as folder, _nginx(Path(folder)) as port:
        _bare(port, asked.targets, min(asked.seconds, 30))
        _paramedic(Path(folder, "up"), port, asked.targets, asked.seconds)


def _paramedic(folder: Path, port: int, targets: int, seconds: int) -> None:
    listed = "".join(
        f'      - {{host: h-{number}, systemd: api.service, health: "http://127.0.0.1:{port}/h-{number}"}}\n'
        for number in range(targets)
    )
    runbook = folder / "runbooks" / "fleet.md"
    runbook.parent.mkdir(parents=True)
    runbook.write_text(_RUNBOOK.format(port=port))
    with settled(folder, f"services:\n  fleet:\n    owner: nobody\n    targets:\n{listed}", []) as (stack, _mailbox):
        store = Store(stack.settings.store())
        began = time.monotonic()
        until(lambda: _sampled(store) >= targets, stack.tick, seconds=600, every=0.5)
        print(
            f"paramedic: every target was measured once, {time.monotonic() - began:.0f} s after the start", flush=True
        )
        before, at = _cpu_seconds(stack), time.monotonic()
        until(lambda: time.monotonic() - at > seconds, stack.tick, seconds=seconds + 60)
        share = (_cpu_seconds(stack) - before) / (time.monotonic() - at)
        memory = sum(proportional_kb(process.pid) for process in _family(stack)) / 1024
        late, count = _late(store, seconds)
    print(f"paramedic: {share:.2f} of a core (reach 1), {memory:.0f} MB (400), {late} late of {count} samples (0)")


def _bare(port: int, targets: int, seconds: int) -> None:
    """The GETs alone, from a few threads."""
    at_once, asked, late = 8, [0] * 8, [0] * 8
    began, cpu = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)

    def ask(thread: int) -> None:
        for number in range(thread, int(targets * seconds / _EVERY), at_once):
            due = began + number * _EVERY / targets
            time.sleep(max(0.0, due - time.monotonic()))
            http_probe.probe(f"http://127.0.0.1:{port}/h-{number % targets}", timedelta(seconds=5))
            asked[thread] += 1
            late[thread] += time.monotonic() - due > _LATE - _EVERY

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took, now = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    share = (now.ru_utime + now.ru_stime - cpu.ru_utime - cpu.ru_stime) / took
    print(
        f"bare:      {share:.2f} of a core, {now.ru_maxrss / 1024:.0f} MB, {sum(late)} late of {sum(asked)} GETs",
        flush=True,
    )


def _family(stack: Stack) -> list[psutil.Process]:
    """The responder and the processes of its runs: the round is one of them."""
    head = psutil.Process(stack.pids()["responder"])
    return [head, *head.children(recursive=True)]


def _cpu_seconds(stack: Stack) -> float:
    """Of the responder and all that it has started, what has ended and been waited for too."""
    total = 0.0
    for process in _family(stack):
        with contextlib.suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])
    return total


def _sampled(store: Store) -> int:
    """How many targets have a sample."""
    with store.read() as tx:
        query = select(func.count(func.distinct(check_samples.c.target)))
        return int(tx.conn.execute(query).scalar_one())


def _late(store: Store, seconds: int) -> tuple[int, int]:
    """How many samples of the last seconds came later than they should, or not at all, and how many there are."""
    by_target = defaultdict(list)
    with store.read() as tx:
        since = tx.now - timedelta(seconds=seconds)
        for row in tx.conn.execute(select(check_samples.c.target, check_samples.c.at).order_by(check_samples.c.at)):
            by_target[row.target].append(row.at)
        late = sum(
            (next_at - at).total_seconds() > _LATE
            for moments in by_target.values()
            for at, next_at in zip(moments, [*moments[1:], tx.now], strict=True)
            if next_at > since
        )
        return late, sum(at > since for moments in by_target.values() for at in moments)


@contextmanager
def _nginx(folder: Path) -> Iterator[int]:
    """An nginx that answers 200 to everything."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        raise SystemExit("nginx is missing: install Debian's package `nginx-light`")
    port = free_port()
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port))
    process = subprocess.Popen([nginx, "-c", folder / "nginx.conf", "-p", folder], stderr=subprocess.DEVNULL)
    try:
        probed = timedelta(seconds=1)
        until(lambda: http_probe.probe(f"http://127.0.0.1:{port}/", probed).ok, seconds=30)
        yield port
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main()
