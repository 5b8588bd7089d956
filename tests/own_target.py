"""A kind of target in a team's own folder, as docs/plugins.md has it, with what lists one and a runbook for it."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text()

#: The whole example of the page.
JOB = next(block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if 'LABEL = "job"' in block)

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
## Mitigation
"""

CHECKED = RUNBOOK.replace(
    "when: [{alert: JobDown}]",
    "when:\n  - alert: JobDown\n  - {check: heartbeat, name: nightly, every: 1m, missing_for: {critical: 1h}}",
)
