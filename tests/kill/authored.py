"""The files that users write, for the Paramedic under test: runbooks of every mode, oncall.yaml, a playbook of their own."""

from datetime import timedelta
from pathlib import Path

from paramedic.demo.world import World

RUNBOOK = """\
---
runbook: broken-service
service: tracking-api
when:
  - alert: '{env="kill"}'
mode: act
playbook: restart-service
with:
  target: {supervisord: "{program}", host: "{instance}"}
  evidence: [process-tree, memory, log-tail]
  verify: {health: ok, stable: 1s, within: 10s}
guardrails: {budget: 3 per hour, cooldown: 1s}
settle: 20s
escalate: {policy: default}
---
# Broken service

**Meaning.** Its health address says no.

**Impact.** Dinner is late.

## Diagnosis

1. Look at the log.

## Mitigation

1. Restart it.
"""

ONCALL = """\
people:
  ada: {name: Ada, email: ada@example.org}
  ben: {name: Ben, email: ben@example.org}
rotation:
  zone: UTC
  starts: 2026-01-05 09:00
  every: 1 week
  people: [ada]
policies:
  default:
    rungs:
      - tell: oncall
    repeat: 10m
  climbing:
    rungs:
      - tell: oncall
      - {tell: ben, after: 1s}
    repeat: 10m
"""

#: So long ago each release was deployed, by its log: before the alerts by more than the clocks may differ.
AGO = timedelta(minutes=10)

#: Runbooks of the same text with a ladder of remedies; alerts choose one by their `env`.
LADDERS = {
    "ladder": "[restart, rollback-if-deployed-within: 1h]",
    "on-cause": "[rollback-if-deployed-within: 1ms, restart]",
    "rollback": "[rollback]",
    "back-first": "[rollback, restart]",
}

#: A team's own playbook, as its author writes it: `our_restart.py` in the folder that PARAMEDIC_FLOWS names.
OWN_PLAYBOOK = '''\
from paramedic.incidents.incident import Incident
from paramedic.incidents.outcome import Outcome
from paramedic.catalog.runbook import Runbook
from tasks.act import restart
from tasks.escalate import hand_over
from tasks.guard import exclusive
from tasks.playbook import playbook


@playbook
def our_restart(incident: Incident, runbook: Runbook) -> Outcome:
    """Restart it, and let a person look at it in any case."""
    with exclusive(incident.target):
        restart(incident.target)
    return hand_over(incident, because="restarted by our own playbook")
'''


def write_authored(folder: Path, world: World, hosts: str) -> None:
    """Runbooks, services, who is on call and playbooks, in `runbooks` and `flows`."""
    (folder / "runbooks" / "broken-service.md").write_text(RUNBOOK)
    observing = RUNBOOK.replace("mode: act", "mode: observe").replace('env="kill"', 'env="observe"')
    (folder / "runbooks" / "observed-service.md").write_text(observing.replace("broken-service", "observed-service"))
    climbing = observing.replace('env="observe"', 'env="climb"').replace("policy: default", "policy: climbing")
    climbing = climbing.replace("settle: ", "observe: {page: all}\nsettle: ")
    (folder / "runbooks" / "climbing.md").write_text(climbing.replace("broken-service", "climbing"))
    for name, remedies in LADDERS.items():
        ladder = RUNBOOK.replace("restart-service", "restore-service").replace('env="kill"', f'env="{name}"')
        ladder = ladder.replace("  verify:", f"  remedies: {remedies}\n  verify:").replace("broken-service", name)
        (folder / "runbooks" / f"{name}.md").write_text(ladder)
    ours = RUNBOOK.replace("restart-service", "our-restart").replace('env="kill"', 'env="ours"')
    (folder / "runbooks" / "our-service.md").write_text(ours.replace("broken-service", "our-service"))
    (folder / "flows" / "our_restart.py").write_text(OWN_PLAYBOOK)
    (folder / "flows" / "our_mistake.py").write_text("def our_mistake(:\n")  # stops nobody else's
    asking = RUNBOOK.replace("mode: act", "mode: ask").replace('env="kill"', 'env="ask"')
    (folder / "runbooks" / "asking-service.md").write_text(asking.replace("broken-service", "asking-service"))
    services = world.services_yaml("tracking-api")
    if hosts:  # both machines are one here, which lint would see of an address as it is usually written
        services = hosts + services.replace("http://127.0.0.1:", "http://127.1:")
    (folder / "runbooks" / "services.yaml").write_text(services)
    (folder / "runbooks" / "oncall.yaml").write_text(ONCALL)
