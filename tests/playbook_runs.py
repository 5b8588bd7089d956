"""Runs of playbooks as they are when a responder has just begun them, without a Prefect."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from fake_service import Service, target
from incident_states import on_call

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
from paramedic.store import Store, checks, lifecycle
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
) -> PlaybookRun:
    """The run `run-1`, the incident's first attempt."""
    return PlaybookRun(
        settings=settings,
        store=store,
        pager=Pager(store, settings, on_call()),
        incident=incident,
        runbook=runbook,
        target=at,
        attempt=1,
        flow_run="run-1",
        ask_cancelled=ask_cancelled,
    )


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
        alert = CheckAtTarget(book.name, book.checks[0], at).alert(
            latency, level, value=11, began_at=utc_now(), ended_at=None
        )
        with store.record() as tx:
            plan = Plan(book.name, book.version, book.text, rungs=1)
            incident = lifecycle.open_incident(
                tx, alert, service=at.service, target=at.id, policy="default", reason="it is new", plan=plan
            )
        return playbook_run(store, settings, incident, book, at)

    return made


def saw(store: Store, work: PlaybookRun, error: float, times: int) -> None:
    """The run's check has seen so many samples."""
    placed = CheckAtTarget(work.runbook.name, work.runbook.checks[0], work.target)
    for _ in range(times):
        with store.record() as tx:
            seen = Sample(tx.now, {"latency": 0.1, "error": error}, "")
            checks.record(tx, placed, seen, blind=False, mass_limit=99)
