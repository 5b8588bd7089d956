"""Which of the services that others depend on are down, by the live incidents, and which incidents others wait for."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import exists, func, select, update

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.incidents.incident import State, name
from paramedic.incidents.tier import Tier
from paramedic.remediation.dependency import Down, Needed
from paramedic.remediation.service import ServiceFacts
from paramedic.store import Tx, incident_alerts, incidents, joining
from paramedic.store.tables import incident_alerts as alert_rows
from paramedic.store.tables import incidents as incident_rows
from paramedic.store.trail import append


def down(tx: Tx, needed: Sequence[Needed]) -> Down | None:
    """The first of these services that is down, by the incident that is the oldest; None where none is.

    A service is down while critical incidents are live on half of its listed targets or more, each with an alert of its own
    that fires. A warning, an incident whose alerts have ended, and one of an unlisted target say nothing of the service.
    """
    if not needed:
        return None
    since = func.coalesce(incident_rows.c.reopened_at, incident_rows.c.opened_at)
    fires = exists().where(
        alert_rows.c.incident == incident_rows.c.number,
        alert_rows.c.status == Status.FIRING,
        alert_rows.c.severity == Severity.CRITICAL,
        alert_rows.c.affects.is_(None),
        alert_rows.c.last_seen >= since,
    )
    query = select(incident_rows.c.number, incident_rows.c.service, incident_rows.c.target, since.label("since")).where(
        incident_rows.c.state != State.RESOLVED,
        incident_rows.c.service.in_([one.service for one in needed]),
        fires,
    )
    rows = tx.conn.execute(query.order_by(incident_rows.c.number)).all()
    for one in needed:
        of_it = [row for row in rows if row.service == one.service and row.target in one.targets]
        if one.is_down(len(of_it)):
            return Down(one.service, of_it[0].number, of_it[0].since)
    return None


def incident_of(waits_for: str | None) -> int | None:
    """The incident that an alert waited for; None where it waited for something else."""
    kind, _, number = (waits_for or "").partition(":")
    return int(number) if kind == "incident" else None


def over_at(tx: Tx, number: int) -> datetime | None:
    """When the incident stopped saying that its service is down: when it ended, or its last own alert did."""
    incident = incidents.get(tx, number)
    if incident.state is State.RESOLVED:
        return incident.ended_at
    query = select(func.max(alert_rows.c.last_seen)).where(
        alert_rows.c.incident == number, alert_rows.c.affects.is_(None), alert_rows.c.status == Status.RESOLVED
    )
    moment: datetime | None = tx.conn.execute(query).scalar_one_or_none()
    return moment


def affect(tx: Tx, number: int, alert: Alert, *, service: str, about: ServiceFacts, reason: str) -> None:
    """Note on the incident of the dependency that this alert, of a service that depends on it, waits for it.

    The incident becomes as urgent as the most urgent service that it affects. Whoever has it, or was paged, gets an update
    on the first alert of each name of each service.
    """
    noted = incident_alerts.note(tx, number, alert, None, affects=service)
    if not noted.changed:
        return
    append(
        tx,
        actor="triage",
        phase="decision",
        what="alert.waits",
        incident=number,
        reason=reason,
        data={"fingerprint": alert.fingerprint, "severity": alert.severity.value, "service": service},
        content={"alert": alert.as_json()},
    )
    incident = incidents.get(tx, number)
    if list(Tier).index(about.tier) < list(Tier).index(incident.tier):
        tx.conn.execute(update(incident_rows).where(incident_rows.c.number == number).values(tier=about.tier))
        append(
            tx,
            actor="triage",
            phase="decision",
            what="incident.rose",
            incident=number,
            target=incident.target,
            reason=f"{service}, a {about.tier} service, depends on it",
            data={"tier": about.tier.value, "before": incident.tier.value},
        )
    if noted.is_change and alert.status is Status.FIRING:
        joining.update_affected(tx, incidents.get(tx, number), alert, service=service, customers=about.customers)


def end_affected(tx: Tx, alert: Alert) -> str | None:
    """Note that the alert, which waits for incidents of what its service depends on, has ended; the first of them, in words."""
    mine = (
        alert_rows.c.fingerprint == alert.fingerprint,
        alert_rows.c.affects.is_not(None),
        alert_rows.c.status == Status.FIRING,
    )
    numbers = list(tx.conn.execute(select(alert_rows.c.incident).where(*mine)).scalars())
    if not numbers:
        return None
    tx.conn.execute(
        update(alert_rows).where(*mine).values(status=Status.RESOLVED, ends_at=alert.ends_at, last_seen=tx.now)
    )
    return name(numbers[-1])
