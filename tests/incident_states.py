"""Incidents at every stage of their way, made by the store's own moves; and who is on call for them."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from store_states import asked

import paramedic.store
from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.incidents.incident import Incident
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.kinds.process_target import process_identity
from paramedic.oncall.on_call import Oncall
from paramedic.oncall.oncall_file import parse_oncall
from paramedic.paging import Pager
from paramedic.remediation.approval import Approval
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.store import Store, attempts, claims, incidents, intents, lifecycle, messages
from paramedic.store import trail as stored_trail
from paramedic.store.acts import Act
from paramedic.store.claims import Claim
from paramedic.store.messages import QueuedMessage
from paramedic.store.runbook_versions import Plan

Paging = Callable[..., Pager]

RUNBOOK = """\
---
runbook: tracking-api-memory
---
**Meaning.** It holds too much memory.

## Mitigation

1. Restart it:
   ```
   # as root
   supervisorctl restart tracking-api
   ```
2. Give it a larger machine.

### If that does not help

3. Wake the owner.

## Afterwards

Write it down.
"""

PEOPLE = """\
people:
  ada: {name: Ada, email: ada@example.org}
  bob: {name: Bob, email: bob@example.org}
  eve: {name: Eve}
rotation: {zone: UTC, starts: 2026-01-05 09:00, every: 1 week, people: [ada]}
policies:
  default:
    rungs: [{tell: oncall}, {tell: bob, after: 10m}]
    repeat: 30m
"""


@dataclass
class OnCall:
    """What a Pager takes as its OnCallBook."""

    oncall: Oncall


def on_call(oncall_yaml: str = PEOPLE) -> OnCall:
    return OnCall(parse_oncall(oncall_yaml, "oncall.yaml"))


def alert(name: str = "TrackingApiMemory", severity: Severity = Severity.CRITICAL, **labels: str) -> Alert:
    began = datetime(2026, 1, 31, 9, 29, tzinfo=UTC)
    status = Status.FIRING
    all_labels = {"alertname": name, **labels}
    return Alert("alertmanager", name, severity, status, began, fingerprint("alertmanager", all_labels), all_labels)


def ordered(store: Store, target: str = "web-1/tracking-api", **about: Any) -> Incident:
    """Opened; its first run waits in the outbox."""
    plan = Plan("tracking-api-memory", "v1", RUNBOOK, 1)
    with store.record() as tx:
        return lifecycle.open_incident(
            tx, alert(**about), service="tracking-api", target=target, policy="default", reason="it is new", plan=plan
        )


def dispatched(store: Store, target: str = "web-1/tracking-api", **about: Any) -> Incident:
    """Prefect has its run, `run-1`."""
    incident = ordered(store, target, **about)
    with store.record() as tx:
        send(tx, incident, 1)
    return incident


def send(tx: incidents.Tx, incident: Incident, attempt: int) -> None:
    from paramedic.store import outbox

    assert outbox.sent(tx, incident.number, attempt)
    attempts.dispatched(tx, incident.number, attempt, flow_run=f"run-{attempt}")


def begun(store: Store, target: str = "web-1/tracking-api", **about: Any) -> Incident:
    """Its run works on it, and has no claim."""
    incident = dispatched(store, target, **about)
    with store.record() as tx:
        assert attempts.begin_attempt(tx, incident.number, 1, flow_run="run-1") is None
    return incident


def holding(store: Store, target: str = "web-1/tracking-api", **about: Any) -> tuple[Incident, Claim]:
    """Its run has the claim, for ten seconds."""
    incident = begun(store, target, **about)
    lease = timedelta(seconds=10)
    with store.record() as tx:
        claim = claims.take(tx, target=target, incident=incident.number, attempt=1, holder="run:run-1", lease=lease)
    assert isinstance(claim, Claim)
    return incident, claim


def acting(store: Store, target: str = "web-1/tracking-api") -> tuple[Incident, Act]:
    """Its run has written an intent, and no outcome."""
    incident, claim = holding(store, target)
    with store.record() as tx:
        act = intents.intend(
            tx,
            claim,
            rung=1,
            remedy="restart",
            identity=process_identity(4711, 1.0, "RUNNING"),
            deadline=timedelta(seconds=5),
            limits=Guardrails("act"),
        )
    assert isinstance(act, Act)
    return incident, act


def asking(
    store: Store, target: str = "web-1/tracking-api", *, remedy: str = "restart", touches: str = "", **about: Any
) -> tuple[Incident, Approval]:
    """Its run asked a person before its first rung, gave its claim back, and is suspended."""
    incident, claim = holding(store, target, **about)
    with store.record() as tx:
        running = process_identity(4711, 1.0, "RUNNING")
        approval = asked(tx, incident.number, identity=running, remedy=remedy, touches=touches)
        claims.release(tx, claim)
    return incident, approval


def handed_over(
    store: Store, because: str = "restarted, still failing", title: str = "TrackingApiMemory", **about: Any
) -> Incident:
    """Its first rung is due."""
    incident = ordered(store, name=title, **about)
    with store.record() as tx:
        return lifecycle.hand_over(tx, incident.number, Outcome(Ending.HANDED_OVER, because), actor="run:run-1")


@contextmanager
def unwritable(url: str) -> Iterator[None]:
    """The database can be read and not written: SQLite locked (this process waits 0.2 s for it), PostgreSQL read-only."""
    import sqlite3

    from sqlalchemy import create_engine, text
    from sqlalchemy.engine import make_url

    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        lock = sqlite3.connect(str(parsed.database), isolation_level=None)
        with closing(lock), pytest.MonkeyPatch.context() as patch:
            patch.setattr(paramedic.store, "LOCK_WAIT", timedelta(milliseconds=200))
            lock.execute("BEGIN IMMEDIATE")
            yield
        return
    engine = create_engine(parsed.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.execute(text(f"ALTER DATABASE {parsed.database} SET default_transaction_read_only = on"))
        try:
            yield
        finally:
            conn.execute(text(f"ALTER DATABASE {parsed.database} RESET default_transaction_read_only"))
    engine.dispose()


def queued(store: Store, incident: Incident) -> list[QueuedMessage]:
    """All that was to be told of the incident, oldest first."""
    with store.read() as tx:
        return messages.of(tx, incident.number)


def pager_entries(store: Store) -> list[tuple[str, str]]:
    """What the trail says of messages, and why."""
    with store.read() as tx:
        return [(entry.what, entry.reason) for entry in stored_trail.entries(tx) if entry.actor == "pager"]
