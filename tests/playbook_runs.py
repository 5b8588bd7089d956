"""Runs of playbooks as they are when a responder has just begun them, without a Prefect."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from fake_service import Service, target
from incident_states import alert, on_call

from paramedic.alerts.alert import Alert
from paramedic.catalog.runbook import Runbook
from paramedic.catalog.runbook_file import parse
from paramedic.change.run import AskCancelled, PlaybookRun
from paramedic.checks.check import CheckAtTarget, Sample
from paramedic.checks.threshold import Level
from paramedic.incidents.incident import Incident
from paramedic.machine.clock import utc_now
from paramedic.paging import Pager
from paramedic.remediation.target import Target
from paramedic.settings import Settings
from paramedic.store import Store, attempts, checks, lifecycle
from paramedic.store.runbook_versions import Plan


def not_cancelled(_patience: timedelta) -> bool:
    return False


def playbook_run(
    store: Store,
    settings: Settings,
    incident: Incident,
    runbook: Runbook,
    at: Target,
    *,
    ask_cancelled: AskCancelled = not_cancelled,
    attempt: int = 1,
) -> PlaybookRun:
    """The run `run-1`, the incident's first attempt, or a later one's."""
    return PlaybookRun(
        settings=settings,
        store=store,
        pager=Pager(store, settings, on_call()),
        incident=incident,
        runbook=runbook,
        target=at,
        attempt=attempt,
        flow_run=f"run-{attempt}",
        ask_cancelled=ask_cancelled,
    )


def opened_by(
    store: Store, runbook: Runbook, at: Target, about: Alert | None = None, *, begun: bool = False
) -> Incident:
    """The incident that this alert has opened for the runbook at its target; `begun`: `run-1` works on it."""
    plan = Plan(runbook.name, runbook.version, runbook.text, rungs=1)
    with store.record() as tx:
        incident = lifecycle.open_incident(
            tx, about or alert(), service=at.service, target=at.id, policy="default", reason="it is new", plan=plan
        )
        if begun:
            assert attempts.begin_attempt(tx, incident.number, 1, flow_run="run-1") is None
    return incident


#: Restarts what holds too much memory, within every limit that a runbook can have.
MEMORY = """\
---
runbook: tracking-api-memory
service: tracking
when: [{alert: TrackingApiMemory}]
mode: act
playbook: restart-service
with:
  target: {supervisord: tracking-api, host: "{instance}"}
  verify: {memory_below: 1000GB, stable: 1m, within: 5m}
guardrails: {cooldown: 10m, budget: 3 per hour, service_budget: 5 per hour, at_once: 2 of 4}
---
**Meaning.** It holds too much memory.
**Impact.** The machine becomes slow.
## Diagnosis
Look.
## Mitigation
Restart it.
"""

#: Its service: the services.yaml beside it.
FOUR_HOSTS = """\
services:
  tracking:
    owner: delivery
    targets:
      - {host: web-1, supervisord: {program: tracking-api, address: "unix:///nowhere/at/all"}}
      - {host: web-2, supervisord: {program: tracking-api, address: "unix:///nowhere/at/all"}}
      - {host: web-3, supervisord: {program: tracking-api, address: "unix:///nowhere/at/all"}}
      - {host: web-4, supervisord: {program: tracking-api, address: "unix:///nowhere/at/all"}}
"""

SHOP_DOWN = """\
---
runbook: shop-down
service: tracking-api
when: [{alert: ShopDown}]
playbook: restart-service
with:
  target: {supervisord: tracking-api, host: "{instance}"}
  verify: {health: ok, stable: STABLE, within: WITHIN}
---
## Meaning
Down.
## Impact
All.
## Diagnosis
Look.
## Mitigation
Mend.
"""


def shop_down(*, stable: str, within: str) -> Runbook:
    """Restarts what its health address says is ill, and looks at it again for so long."""
    return parse(SHOP_DOWN.replace("STABLE", stable).replace("WITHIN", within), "shop-down.md")


#: A runbook with a check, of which one bound is the breach and another one is asked for by `verify`.
SLOW = """\
---
runbook: tracking-api-slow
service: tracking-api
when:
  - check: health
    error_rate: {critical: 3%, for: 0s}
    latency_p95: {critical: 10s}
    every: 20s
    timeout: 10s
playbook: restart-service
with:
  target: {supervisord: tracking-api, host: "{instance}"}
  verify: {check: error_rate, stable: 1m, within: 5m}
---
**Meaning.** **Impact.**
## Impact
## Diagnosis
## Mitigation
"""


@pytest.fixture
def at_work(store: Store, service: Service, tmp_path: Path) -> Callable[..., PlaybookRun]:
    """Makes the run of an incident about the latency of the service."""

    def made(runbook: Runbook | None = None, level: Level = Level.CRITICAL) -> PlaybookRun:
        book = runbook or parse(SLOW, "r.md")
        at = target(service.url)
        settings = Settings(data=tmp_path)
        latency = next(threshold for threshold in book.checks[0].thresholds if threshold.metric == "latency_p95")
        slow = CheckAtTarget(book.name, book.checks[0], at).alert(
            latency, level, value=11, began_at=utc_now(), ended_at=None
        )
        return playbook_run(store, settings, opened_by(store, book, at, slow), book, at)

    return made


def saw(store: Store, work: PlaybookRun, error: float, times: int) -> None:
    """The run's check has seen so many samples."""
    placed = CheckAtTarget(work.runbook.name, work.runbook.checks[0], work.target)
    for _ in range(times):
        with store.record() as tx:
            seen = Sample(tx.now, {"latency": 0.1, "error": error}, "")
            checks.record(tx, placed, seen, blind=False, mass_limit=99)
