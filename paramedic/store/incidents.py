"""Incidents. Every move is checked by the state machine and written to the trail in one transaction."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, select, update

from paramedic.alerts.alert import Alert, Severity
from paramedic.alerts.alert_object import shown_name
from paramedic.audit.chain import Entry
from paramedic.incidents.incident import IllegalMove, Incident, State, move, name
from paramedic.incidents.outcome import Ending
from paramedic.incidents.tier import Tier
from paramedic.remediation.observed_paging import Paging
from paramedic.store import Tx, messages
from paramedic.store.tables import incidents, proposals
from paramedic.store.tables import messages as message_rows
from paramedic.store.trail import append, content


class NoSuchIncident(LookupError):
    """The store has no incident with this number."""


def get(tx: Tx, number: int) -> Incident:
    """The incident in its current state. Raises NoSuchIncident."""
    row = tx.conn.execute(_GET, {"at_number": number}).one_or_none()
    if row is None:
        newest = tx.conn.execute(select(func.max(incidents.c.number))).scalar_one()
        there = "it has none yet" if newest is None else f"the newest is {name(newest)}"
        raise NoSuchIncident(f"there is no {name(number)} in this store; {there}")
    return _incident(tx, row)


def live(tx: Tx, service: str, target: str) -> Incident | None:
    """The one open incident of this service and target."""
    row = tx.conn.execute(_LIVE, {"at_service": service, "at_target": target}).one_or_none()
    return None if row is None else _incident(tx, row)


#: What every alert asks is built once: building a statement costs more than running it.
_LIVE = select(incidents).where(
    incidents.c.service == bindparam("at_service"),
    incidents.c.target == bindparam("at_target"),
    incidents.c.state != State.RESOLVED,
)
_GET = select(incidents).where(incidents.c.number == bindparam("at_number"))


def alike(tx: Tx, alert: Alert, service: str, prefix: str) -> int:
    """The number of open incidents of this service, opened by an alert of this name, at targets that begin with `prefix`."""
    query = select(func.count()).where(
        incidents.c.service == service,
        incidents.c.state != State.RESOLVED,
        incidents.c.title == shown_name(alert),
        incidents.c.target.startswith(prefix, autoescape=True),
    )
    return tx.conn.execute(query).scalar_one()


def listed(
    tx: Tx,
    *,
    states: Collection[State] = (),
    services: Collection[str] = (),
    severities: Collection[Severity] = (),
    since: datetime | None = None,
    limit: int = 50,
    before: int | None = None,
) -> list[Incident]:
    """Incidents, newest first; `since` limits when they were last opened, `before` continues from a number."""
    query: Select[Any] = select(incidents).order_by(incidents.c.number.desc()).limit(limit)
    if states:
        query = query.where(incidents.c.state.in_(states))
    if services:
        query = query.where(incidents.c.service.in_(services))
    if severities:
        query = query.where(incidents.c.severity.in_(severities))
    if since is not None:
        query = query.where(func.coalesce(incidents.c.reopened_at, incidents.c.opened_at) >= since)
    if before is not None:
        query = query.where(incidents.c.number < before)
    return [_incident(tx, row) for row in tx.conn.execute(query)]


def of_service(tx: Tx, service: str, *, since: datetime) -> list[Incident]:
    """The incidents of the service that were open at some time since then, oldest first."""
    query = select(incidents).where(
        incidents.c.service == service, incidents.c.ended_at.is_(None) | (incidents.c.ended_at >= since)
    )
    return [_incident(tx, row) for row in tx.conn.execute(query.order_by(incidents.c.number))]


def numbers(tx: Tx, *states: State) -> list[int]:
    """The incidents in one of these states, oldest first."""
    query = select(incidents.c.number).where(incidents.c.state.in_(states)).order_by(incidents.c.number)
    return list(tx.conn.execute(query).scalars())


def services(tx: Tx) -> set[str]:
    """Every service that ever had an incident."""
    return set(tx.conn.execute(select(incidents.c.service).distinct()).scalars())


def runbooks(tx: Tx) -> set[str]:
    """Every runbook that ever matched an incident."""
    query = select(incidents.c.runbook).where(incidents.c.runbook.is_not(None)).distinct()
    return {name for name in tx.conn.execute(query).scalars() if name is not None}


def without_escalation(tx: Tx) -> list[int]:
    """The handed-over incidents without escalation: no page is due or being sent, nor waits for a proposal's verdict."""
    escalating = select(message_rows.c.incident).where(
        message_rows.c.kind == "rung",
        message_rows.c.state.in_(("due", "sending")),
        message_rows.c.incident.is_not(None),
    )
    observed = select(proposals.c.incident).where(
        proposals.c.paging == Paging.LATE, proposals.c.verdict.is_(None), proposals.c.judge_by > tx.now
    )
    query = select(incidents.c.number).where(
        incidents.c.state == State.HANDED_OVER,
        incidents.c.number.not_in(escalating),
        incidents.c.number.not_in(observed),
    )
    return list(tx.conn.execute(query).scalars())


def well_at(tx: Tx, target: str) -> datetime | None:
    """When a playbook last ended with this target verified healthy."""
    query = select(func.max(incidents.c.ended_at)).where(
        incidents.c.target == target, incidents.c.ending.in_((Ending.RECOVERED, Ending.REMEDIATED))
    )
    moment: datetime | None = tx.conn.execute(query).scalar_one_or_none()
    return moment


def last_ended_at(tx: Tx, target: str) -> datetime | None:
    """When an incident on this target last ended, whoever ended it. Earlier samples prove nothing about the time after."""
    query = select(func.max(incidents.c.ended_at)).where(
        incidents.c.target == target, incidents.c.state == State.RESOLVED
    )
    moment: datetime | None = tx.conn.execute(query).scalar_one_or_none()
    return moment


def start_escalation(tx: Tx, incident: Incident) -> None:
    """Start the escalation with the first step for the incident's severity: now, or once that step has waited its time."""
    messages.begin_escalation(tx, incident=incident.number, policy=incident.policy, severity=incident.severity)


# --- attempts -------------------------------------------------------------------------------------------------------


# --- endings --------------------------------------------------------------------------------------------------------


def acknowledged(tx: Tx) -> list[Incident]:
    """Every acknowledged incident."""
    query = select(incidents).where(incidents.c.state == State.ACKNOWLEDGED).order_by(incidents.c.acknowledged_at)
    return [_incident(tx, row) for row in tx.conn.execute(query)]


def append_to_timeline(
    tx: Tx, number: int, *, actor: str, what: str, reason: str, data: Mapping[str, Any] | None = None
) -> None:
    """Add a line to the incident's timeline, without a state change."""
    append(
        tx,
        actor=actor,
        phase="outcome",
        what=what,
        incident=number,
        target=get(tx, number).target,
        reason=reason,
        data=data,
    )


_NOTE = "incident.note"


def note(tx: Tx, number: int, *, by: str, text: str) -> None:
    """Add a person's note to the timeline: erasable content, of which the trail has the digest."""
    incident = get(tx, number)
    append(
        tx,
        actor=f"person:{by}",
        phase="decision",
        what=_NOTE,
        incident=number,
        target=incident.target,
        reason="a person's note",
        content={"note": text},
    )


def notes(tx: Tx, timeline: Iterable[Entry]) -> dict[int, str]:
    """The texts of the timeline's notes, by the number of their entry; one that was erased says so."""
    found = {}
    for entry in timeline:
        if entry.what == _NOTE:
            kept = content(tx, entry.seq)
            found[entry.seq] = "(erased)" if kept is None else str(kept[1].get("note", ""))
    return found


def set_state(tx: Tx, incident: Incident, state: State, **values: Any) -> None:
    move(incident.state, state)
    changed = tx.conn.execute(
        update(incidents)
        .where(incidents.c.number == incident.number, incidents.c.state == incident.state)
        .values(state=state, **values)
    )
    if changed.rowcount != 1:
        raise IllegalMove(f"{incident.id} was moved by somebody else meanwhile")


# --- evidence -------------------------------------------------------------------------------------------------------


def _incident(tx: Tx, row: Row[Any]) -> Incident:
    return Incident(
        store=tx.store,
        number=row.number,
        service=row.service,
        target=row.target,
        title=row.title,
        severity=Severity(row.severity),
        state=State(row.state),
        attempt=row.attempt,
        policy=row.policy,
        opened_at=row.opened_at,
        runbook=row.runbook,
        runbook_version=row.runbook_version,
        ending=Ending(row.ending) if row.ending else None,
        because=row.because,
        ended_at=row.ended_at,
        acknowledged_by=row.acknowledged_by,
        acknowledged_at=row.acknowledged_at,
        reopened_at=row.reopened_at,
        acknowledged_severity=Severity(row.acknowledged_severity) if row.acknowledged_severity else None,
        first_acknowledged_at=row.first_acknowledged_at,
        resolved_by=row.resolved_by,
        retried_attempt=row.retried_attempt,
        tier=Tier(row.tier) if row.tier else Tier.STANDARD,
    )
