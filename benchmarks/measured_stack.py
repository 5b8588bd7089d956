"""The `paramedic up` that the benchmarks measure: its playbook, runbooks and oncall.yaml, and its environment."""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from paramedic.demo.world import Mailbox, free_port
from paramedic.settings import load_settings
from paramedic.stack.stack import Stack

TOKEN = "a-token-that-only-this-benchmark-knows"  # noqa: S105 - the secret of a benchmark

#: After a start, before anything is measured: warm processes are made then.
_SETTLE_SECONDS = 10

_PLAYBOOK = '''\
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

_RUNBOOK = """\
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

_ONCALL = """\
people:
  ada: {name: Ada, email: ada@example.org}
rotation: {zone: UTC, starts: 2026-01-05 09:00, every: 1 week, people: [ada]}
policies:
  default: {rungs: [{tell: oncall}]}
"""

#: Runbooks: each its name, which is the value of the label `env` that it matches; its service; its playbook.
STAMP = ("stamp", "stamps", "bench-stamp")
RESTART = ("restart", "tracking-api", "restart-service")


def stamped(hosts: int) -> str:
    """The service of the playbook that writes stamps, for services.yaml: so many hosts, `b-1` and on."""
    targets = "".join(
        f"""      - host: b-{number}
        supervisord: {{program: stamp, address: "http://127.0.0.1:9"}}
        health: http://127.0.0.1:9/health
        log: /var/log/stamp.log
"""
        for number in range(1, hosts + 1)
    )
    return f"  stamps:\n    owner: nobody\n    targets:\n{targets}"


def stamp_file(folder: Path, host: str) -> Path:
    """Where the playbook writes when its first step began, in seconds since 1970."""
    return folder / "stamps" / f"{host}_stamp"


def write_folder(folder: Path, services_yaml: str, runbooks: Sequence[tuple[str, str, str]]) -> None:
    """The folders of runbooks, playbooks and stamps of what is measured."""
    for name in ("runbooks", "flows", "stamps"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "runbooks" / "services.yaml").write_text(services_yaml)
    (folder / "runbooks" / "oncall.yaml").write_text(_ONCALL)
    for name, service, playbook in runbooks:
        text = _RUNBOOK.format(name=name, service=service, env=name, playbook=playbook)
        (folder / "runbooks" / f"{name}.md").write_text(text)
    (folder / "flows" / "bench_stamp.py").write_text(_PLAYBOOK)


@contextmanager
def started(
    folder: Path, mailbox: Mailbox, services_yaml: str, runbooks: Sequence[tuple[str, str, str]], **env: str
) -> Iterator[Stack]:
    """`paramedic up` in this folder, ready, with these files and these additional variables; none of its caller's."""
    write_folder(folder, services_yaml, runbooks)
    for name in [name for name in os.environ if name.startswith(("PARAMEDIC_", "PREFECT_", "PYTHONDONTWRITE"))]:
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
    stack = Stack(load_settings())
    stack.start()
    try:
        stack.wait_ready(240)
        yield stack
    finally:
        stack.stop()


@contextmanager
def settled(
    folder: Path, services_yaml: str, runbooks: Sequence[tuple[str, str, str]], **env: str
) -> Iterator[tuple[Stack, Mailbox]]:
    """`started`, with a mailbox, once it has made all that it makes after its start."""
    with Mailbox() as mailbox, started(folder, mailbox, services_yaml, runbooks, **env) as stack:
        time.sleep(_SETTLE_SECONDS)
        yield stack, mailbox


def until(
    holds: Callable[[], bool], tick: Callable[[], None] = lambda: None, *, seconds: float = 30, every: float = 0.03
) -> None:
    """Wait until it holds, ticking meanwhile. Raises SystemExit after so many seconds."""
    given_up_at = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > given_up_at:
            raise SystemExit(f"what was waited for did not happen within {seconds:.0f} s")
        tick()
        time.sleep(every)


def proportional_kb(pid: int) -> int:
    """Its share of the memory: a page that n processes have counts as an n-th."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
