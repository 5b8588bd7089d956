"""What the store's tests begin with: an alert, an incident that a run works on, and the trail's verdict."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from databases import Clock
from sqlalchemy import select

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.audit.verification import Verification, verify
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.kinds.process_target import process_identity
from paramedic.remediation.approval import Approval
from paramedic.remediation.guardrail import Refusal
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.health import Health
from paramedic.remediation.observed_paging import Paging
from paramedic.remediation.proposal import Proposal
from paramedic.remediation.quorum import Members
from paramedic.remediation.remedy import RESTART
from paramedic.remediation.target import Identity
from paramedic.remediation.touched import Touched
from paramedic.store import Store, Tx, approvals, attempts, claims, incidents, intents, lifecycle, proposals, trail
from paramedic.store.acts import Act
from paramedic.store.claims import Claim
from paramedic.store.guardrail_facts import Around
from paramedic.store.runbook_versions import Plan
from paramedic.store.tables import grants, inbox

NINE = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
TARGET = "web-1/tracking-api"
LEASE = timedelta(seconds=10)
DEADLINE = timedelta(seconds=30)
HOUR = timedelta(hours=1)
FREE = Guardrails("act")
ALIVE = process_identity(pid=4242, started_at=1769850000.25, state="RUNNING")
HANDED_OVER = Outcome(Ending.HANDED_OVER, "restarted, still failing")
WELL = Outcome(Ending.REMEDIATED, "restarted and well")
PLAN = Plan("tracking-api-memory", "a" * 64, "---\n---\n# The tracking API\n", rungs=1)


def alert(
    name: str = "TrackingApiMemory",
    *,
    status: Status = Status.FIRING,
    severity: Severity = Severity.CRITICAL,
    starts_at: datetime = NINE,
    **labels: str,
) -> Alert:
    all_labels = {"alertname": name, **labels}
    return Alert("alertmanager", name, severity, status, starts_at, fingerprint("alertmanager", all_labels), all_labels)


def opened(tx: Tx, *, target: str = TARGET, rungs: int = 1, received: Alert | None = None, plan: bool = True) -> int:
    """A new incident with its first attempt, or without one."""
    return lifecycle.open_incident(
        tx,
        received or alert(),
        service="tracking",
        target=target,
        policy="default",
        reason="nothing is open for its service and target",
        plan=Plan(PLAN.runbook, PLAN.version, PLAN.text, rungs) if plan else None,
    ).number


def claimed(tx: Tx, number: int, *, attempt: int = 1, run: str = "run-1") -> Claim:
    """The claim of this run."""
    target = incidents.get(tx, number).target
    claim = claims.take(tx, target=target, incident=number, attempt=attempt, holder=f"run:{run}", lease=LEASE)
    assert isinstance(claim, Claim), claim
    return claim


def working(store: Store, *, target: str = TARGET, rungs: int = 1) -> Claim:
    """A new incident whose first attempt has begun and holds the claim."""
    with store.record() as tx:
        number = opened(tx, target=target, rungs=rungs)
        assert attempts.begin_attempt(tx, number, 1, flow_run="run-1") is None
        return claimed(tx, number)


def intended(tx: Tx, claim: Claim, *, rung: int = 1, limits: Guardrails = FREE) -> Act:
    """An act whose intent is written."""
    act = intents.intend(tx, claim, rung=rung, remedy="restart", identity=ALIVE, deadline=DEADLINE, limits=limits)
    assert isinstance(act, Act), act
    return act


def surroundings(
    at: datetime, health: Mapping[str, Health], *, target: str = TARGET, service: str = "tracking"
) -> Around:
    """The other targets of the target's service, as they looked at this time; nothing is a part of anything."""
    return Around(Members(at, health), touched=(Touched(service, (target,), dict.fromkeys(health, ())),))


def refused(store: Store, claim: Claim, *, rung: int = 1, limits: Guardrails = FREE) -> Refusal:
    """Why an intent to restart is refused."""
    with store.record() as tx:
        no = intents.intend(tx, claim, rung=rung, remedy="restart", identity=ALIVE, deadline=DEADLINE, limits=limits)
    assert isinstance(no, Refusal), no
    return no


def asked(tx: Tx, number: int, *, identity: Identity = ALIVE, remedy: str = "restart", touches: str = "") -> Approval:
    """A person is asked, for a quarter of an hour, before `run-1` does this to the incident's target."""
    incident = incidents.get(tx, number)
    return approvals.ask(
        tx,
        incident=number,
        attempt=1,
        rung=1,
        target=incident.target,
        remedy=remedy,
        identity=identity,
        within=timedelta(minutes=15),
        flow_run="run-1",
        policy="default",
        severity=incident.severity,
        touches=touches,
    )


def proposed(tx: Tx, claim: Claim, *, why: str = "answered 503", paging: Paging = Paging.FIRST) -> Proposal:
    """The restart that a runbook which observes would have made; its verdict is due within five minutes."""
    limits = Guardrails("observe")
    return proposals.make(
        tx,
        claim,
        RESTART,
        identity=ALIVE,
        why=why,
        limits=limits,
        today=limits,
        paging=paging,
        within=timedelta(minutes=5),
    )


def granted(tx: Tx, number: int) -> list[tuple[int, int, str]]:
    """Attempt, rung and state of every grant of the incident."""
    query = select(grants.c.attempt, grants.c.rung, grants.c.state).where(grants.c.incident == number)
    return sorted((row[0], row[1], row[2]) for row in tx.conn.execute(query))


def again(clock: Clock) -> Alert:
    """The same alert, begun again five minutes later."""
    clock.advance(timedelta(minutes=5))
    return alert(starts_at=clock.now())


def inbox_rows(store: Store) -> list[Any]:
    """What came in, oldest first, with its decision."""
    with store.read() as tx:
        return list(tx.conn.execute(inbox.select().order_by(inbox.c.position)))


def look_at_the_trail(store: Store) -> Verification:
    """What `audit verify` would find, without checkpoints."""
    with store.read() as tx:
        key = Ed25519PrivateKey.generate().public_key()
        return verify(trail.entries(tx), lambda seq: trail.content(tx, seq), [], key, tx.store)


def recorded(store: Store, number: int | None = None) -> list[str]:
    """What the trail says, in its order."""
    with store.read() as tx:
        return [entry.what for entry in trail.entries(tx, incident=number)]
