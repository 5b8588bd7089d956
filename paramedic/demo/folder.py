"""The demo's library: four runbooks for one service, services.yaml and oncall.yaml."""

from collections.abc import Mapping
from pathlib import Path

from paramedic.machine import data_folder

#: The memory at which the demo's service is in trouble.
LIMIT_MB = 120

_PROSE = """\
**Impact.** Customers do not see where their dinner is.

## Diagnosis

1. What does the log say?
2. Was there a deployment in the last half hour?

## Mitigation

"""

#: How often a check of the demo looks, and over how long.
_EACH_SECOND = """\
    every: 1s
    timeout: 1s
    window: 3s"""

#: How every runbook of the demo that acts by such a check goes on.
_NO_ANSWER = f"""\
    error_rate: {{critical: 50%, for: 2s}}
{_EACH_SECOND}
mode: act
playbook: restart-service
with:"""

_GUARDRAILS = "guardrails: {budget: 3 per hour, cooldown: 10m}"

_HANG = f"""\
---
runbook: tracking-api-hang
service: tracking-api
when:
  - check: health # measured by Paramedic itself
{_NO_ANSWER}
  target: {{supervisord: tracking-api, host: web-1}}
  evidence: [process-tree, log-tail]
  verify: {{health: ok, stable: 3s, within: 15s}}
{_GUARDRAILS}
---
# The tracking API does not answer

**Meaning.** Its health address has given no answer for some seconds.

{_PROSE}1. Restart it.
"""

_MEMORY = f"""\
---
runbook: tracking-api-memory
service: tracking-api
when:
  - alert: TrackingApiMemory{{env="demo"}}
mode: act
playbook: restart-service
with:
  target: {{supervisord: tracking-api, host: "{{instance}}"}}
  evidence: [process-tree, memory, log-tail]
  verify: {{health: ok, memory_below: {LIMIT_MB}MB, stable: 3s, within: 12s}}
{_GUARDRAILS}
---
# The tracking API needs too much memory

**Meaning.** A process of tracking-api holds more than {LIMIT_MB} MB of resident memory.

{_PROSE}1. Restart it: a leak starts again from nothing.
2. If it is back at once, start it with less data, or give it a machine with more memory.
"""

_ERRORS = f"""\
---
runbook: tracking-api-errors
service: tracking-api
when:
  - check: health
    error_rate: {{warning: 20%, critical: 50%, for: 2s}}
    every: 1s
    timeout: 1s
    window: 6s
mode: act
playbook: restore-service
with:
  target: {{supervisord: tracking-api, host: web-3}}
  evidence: [process-tree, log-tail]
  remedies: [restart, rollback-if-deployed-within: 30m]
  verify: {{check: error_rate, stable: 4s, within: 8s}}
{_GUARDRAILS}
---
# The tracking API answers with errors

**Meaning.** More than 3% of its answers are errors.

{_PROSE}1. Restart it.
2. Go back to the last healthy release.
"""


def _runbook_of_health(name: str, service: str, target: str, evidence: str) -> str:
    """The runbook of a service whose health address gives no good answer: one restart of its target."""
    return f"""\
---
runbook: {name}
service: {service}
when:
  - check: health
{_NO_ANSWER}
  target: {{{target}}}
  evidence: [{evidence}]
  verify: {{health: ok, stable: 3s, within: 30s}}
{_GUARDRAILS}
---
# {service} does not answer

**Meaning.** Its health address has given no good answer for some seconds.

{_PROSE}1. Restart it.
"""


def runbook_of_hang(service: str, target: str) -> str:
    """The runbook of a supervisord program that hangs, with the words of its target."""
    return _runbook_of_health(f"{service}-hang", service, target, "process-tree, log-tail")


def runbook_of_container(name: str) -> str:
    """The runbook of a container of this machine whose service has its name."""
    return _runbook_of_health(f"{name}-down", name, f"container: {name}, host: localhost", "state, last-log")


def runbook_of_workload(service: str, target: str) -> str:
    """The runbook of a workload of Kubernetes whose rollout is stuck, with the words of its target."""
    return f"""\
---
runbook: {service}-rollout
service: {service}
when:
  - check: ready # as the API server says it, measured by Paramedic itself
    down: {{critical: 50%, for: 2s}}
{_EACH_SECOND}
mode: act
playbook: restore-service
with:
  target: {{{target}}}
  evidence: [workload, pods, rollout-history]
  remedies: [rollback]
  verify: {{check: down, stable: 3s, within: 1m}}
{_GUARDRAILS}
---
# A release of {service} does not come up

**Meaning.** Pods of it are missing, or its controller has given a rollout up.

{_PROSE}1. Go back to the last healthy release.
"""


_ONCALL = """\
people:
  ada: {name: Ada on call, email: ada@example.org}
  ben: {name: Ben on call, ways: ["webhook:pager"]}
rotation:
  zone: UTC
  starts: 2026-01-05 09:00
  every: 1 week
  people: [ada]
policies:
  default:
    critical: [{tell: oncall}, {tell: ben, after: 3s}]
    warning: [{tell: oncall}]
    repeat: 10m
"""


def write(folder: Path, services: str, more: Mapping[str, str]) -> None:
    """Write the library into the folder; `more`: further runbooks, by file name."""
    for made in (folder.parent, folder):  # the data folder, and the runbooks in it
        data_folder.make(made)
    (folder / "tracking-api-hang.md").write_text(_HANG)
    (folder / "tracking-api-memory.md").write_text(_MEMORY)
    (folder / "tracking-api-errors.md").write_text(_ERRORS)
    for name, text in more.items():
        (folder / name).write_text(text)
    (folder / "services.yaml").write_text(services)
    (folder / "oncall.yaml").write_text(_ONCALL)
