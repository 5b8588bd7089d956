"""Runbooks whose checks are run in groups: one runbook, `of-GROUP`, a group."""

from pathlib import Path

from paramedic.settings import ROOT

RUNBOOK = """\
---
runbook: of-{group}
service: tracking-api
group: {group}
when:
  - check: health
playbook: restart-service
with:
  target: {{supervisord: tracking-api, host: "{{instance}}"}}
  verify: {{health: ok, stable: 1m, within: 5m}}
---
**Meaning.** **Impact.**
## Impact
## Diagnosis
## Mitigation
"""


def write(folder: Path, *groups: str) -> None:
    """Into the folder, which has what every folder has from then on."""
    folder.mkdir(exist_ok=True)
    for name in ("oncall.yaml", "services.yaml"):
        (folder / name).write_text((ROOT / "runbooks" / name).read_text())
    for group in groups:
        (folder / f"of-{group}.md").write_text(RUNBOOK.format(group=group))
