"""A kind of target in a team's own folder, as docs/plugins.md has it, with what lists one and a runbook for it."""

from plugins_page import EXAMPLES

from paramedic.kinds.registry import Room

#: The whole example of the page.
JOB = EXAMPLES[Room.TARGETS]

SERVICES = """\
services:
  billing:
    targets:
      - {{host: web-1, job: {{name: nightly, file: "{file}"}}}}
"""

RUNBOOK = """\
---
runbook: job-down
service: billing
when: [{alert: JobDown}]
mode: act
playbook: restart-service
with:
  target: {job: "{job}", host: "{instance}"}
  evidence: [generation]
  verify: {check: missing_for, stable: 1m, within: 5m}
---
**Meaning.** It is down.
**Impact.** No bills.
## Diagnosis
c
## Mitigation
d
"""

CHECKED = RUNBOOK.replace(
    "when: [{alert: JobDown}]",
    "when:\n  - alert: JobDown\n  - {check: heartbeat, name: nightly, every: 1m, missing_for: {critical: 1h}}",
)
