"""What the benchmarks' Paramedic goes by: playbook, runbook and oncall.yaml."""

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
