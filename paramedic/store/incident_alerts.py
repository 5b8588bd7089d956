"""The alerts of an incident: how often each was reported, its object, and the runbook that matches it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, insert, select, true, update

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.alert_object import object_of, shown_name
from paramedic.incidents.incident import Incident, State, name
from paramedic.incidents.outcome import Ending
from paramedic.store import Tx, as_dict
from paramedic.store.incidents import get
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import incident_alerts, incidents, runbook_versions
from paramedic.text.redaction import redacted


@dataclass(frozen=True, slots=True)
class Wanted:
    """The runbook that matches an alert, in its version at that time."""

    runbook: str
    version: str


@dataclass(frozen=True, slots=True)
class Noted:
    """The effect of an alert on its incident's alerts."""

    changed: bool  # it is new here, or its status or severity is another than before
    is_change: bool  # it fires, and nothing of this name about this object was part of the incident
    turned: Status | None = None  # what it says now, if the incident held another word of it, or none and it fires


def note(tx: Tx, number: int, alert: Alert, wanted: Wanted | None, *, affects: str | None = None) -> Noted:
    """Count the alert. One older than the last report under its fingerprint is counted and changes nothing else.

    `affects`: the service of an alert that waits for this incident, of what the service depends on; its own alerts have none.

    What it said while it fired is kept when it ends: its end says the value that is well again.
    """
    before = tx.conn.execute(_BEFORE, {"of": number, "by": alert.fingerprint}).one_or_none()
    now_said: dict[str, Any] = {
        "severity": alert.severity,
        "status": alert.status,
        "starts_at": alert.starts_at,
        "ends_at": alert.ends_at,
        "labels": redacted(dict(alert.labels)),
        "annotations": redacted(dict(alert.annotations)),
        "runbook": wanted.runbook if wanted else None,
        "runbook_version": wanted.version if wanted else None,
        "affects": affects,
    }
    if before is not None:
        last_said = now_said if _effective_at(before) <= alert.effective_at else {}
        if alert.status is Status.RESOLVED:
            last_said.pop("annotations", None)
        known = (incident_alerts.c.incident == number) & (incident_alerts.c.fingerprint == alert.fingerprint)
        counted = {"count": incident_alerts.c.count + 1, "last_seen": tx.now}
        tx.conn.execute(update(incident_alerts).where(known).values(counted | last_said))
        turned = alert.status if last_said and before.status != alert.status else None
        return Noted((before.status, before.severity) != (alert.status, alert.severity), is_change=False, turned=turned)
    about = object_of(alert)
    is_change = alert.status is Status.FIRING and not _knows(tx, number, alert.name, about, affects)
    first: dict[str, Any] = {"first_seen": tx.now, "last_seen": tx.now, "count": 1, "object": about}
    itself = {"incident": number, "fingerprint": alert.fingerprint, "name": alert.name, "source": alert.source}
    tx.conn.execute(insert(incident_alerts), itself | first | now_said)
    return Noted(changed=True, is_change=is_change, turned=alert.status if alert.status is Status.FIRING else None)


def _knows(tx: Tx, number: int, called: str, about: str, affects: str | None) -> bool:
    same = {"of": number, "called": called, "about": about, "service": affects}
    return tx.conn.execute(_SAME, same).first() is not None


#: Built once, as every alert asks them: building a statement costs more than running it.
_BEFORE = select(incident_alerts).where(
    incident_alerts.c.incident == bindparam("of"), incident_alerts.c.fingerprint == bindparam("by")
)
_SAME = (
    select(incident_alerts.c.incident)
    .where(
        incident_alerts.c.incident == bindparam("of"),
        incident_alerts.c.name == bindparam("called"),
        incident_alerts.c.object == bindparam("about"),
        incident_alerts.c.affects.is_not_distinct_from(bindparam("service", type_=incident_alerts.c.affects.type)),
    )
    .limit(1)
)


def _effective_at(row: Row[Any]) -> datetime:
    """`Alert.effective_at` of the row's alert."""
    over = row.status == Status.RESOLVED and row.ends_at is not None
    moment: datetime = max(row.starts_at, row.ends_at) if over else row.starts_at
    return moment


def of(tx: Tx, number: int) -> list[dict[str, Any]]:
    """The incident's own alerts, each with how often it was reported."""
    return _listed(tx, incident_alerts.c.incident == number, incident_alerts.c.affects.is_(None))


def affected(tx: Tx, number: int) -> list[dict[str, Any]]:
    """The alerts of services that depend on the incident's, which wait for it."""
    return _listed(tx, incident_alerts.c.incident == number, incident_alerts.c.affects.is_not(None))


def _listed(tx: Tx, *where: ColumnElement[bool]) -> list[dict[str, Any]]:
    query = select(incident_alerts).where(*where)
    query = query.order_by(incident_alerts.c.first_seen, incident_alerts.c.name, incident_alerts.c.fingerprint)
    return [as_dict(row) for row in tx.conn.execute(query)]


def firing(tx: Tx, incident: Incident, *, at_most: int) -> int:
    """The number of its firing alerts, of those reported since it was last opened; counted up to `at_most`."""
    query = select(incident_alerts.c.fingerprint).where(_fires(incident))
    return len(tx.conn.execute(query.limit(at_most)).all())


def firing_severities(tx: Tx, incident: Incident) -> set[str]:
    """The severities of its firing alerts, of those reported since it was last opened."""
    query = select(incident_alerts.c.severity).where(_fires(incident)).distinct()
    return set(tx.conn.execute(query).scalars())


def _fires(incident: Incident) -> ColumnElement[bool]:
    return and_(
        incident_alerts.c.incident == incident.number,
        incident_alerts.c.status == Status.FIRING,
        incident_alerts.c.affects.is_(None),
        incident_alerts.c.last_seen >= (incident.reopened_at or incident.opened_at),
    )


def joined(alert: Alert, wanted: Wanted | None, number: int) -> str:
    """Which alert joined the incident and the state of the others, in words, one fact per line."""
    lines = [f"{shown_name(alert)} ({alert.severity})"]
    if about := object_of(alert):
        lines.append(f"about {about}")
    if summary := alert.annotations.get("summary"):
        lines.append(f"it says: {summary}")
    if wanted is not None:
        lines.append(f"runbook {wanted.runbook} wants it")
    return "\n".join([*lines, f"All of its alerts: paramedic incident show {name(number)}"])


def holder(tx: Tx, fingerprint: str) -> int | None:
    """The newest open incident of which an alert of this fingerprint is one, and does not only wait for it."""
    query = (
        select(incidents.c.number)
        .join(incident_alerts, incident_alerts.c.incident == incidents.c.number)
        .where(
            incident_alerts.c.fingerprint == fingerprint,
            incident_alerts.c.affects.is_(None),
            incidents.c.state != State.RESOLVED,
        )
        .order_by(incidents.c.number.desc())
    )
    number: int | None = tx.conn.execute(query.limit(1)).scalar_one_or_none()
    return number


def last_of(tx: Tx, alert: Alert, *, service: str, target: str, runbook: str) -> int | None:
    """The last incident of this place and runbook with this alert or one of its name."""
    query: Select[Any] = (
        select(incidents.c.number)
        .join(incident_alerts, incident_alerts.c.incident == incidents.c.number)
        .where(
            incidents.c.service == service,
            incidents.c.target == target,
            incidents.c.runbook == runbook,
            (incident_alerts.c.name == alert.name) | (incident_alerts.c.fingerprint == alert.fingerprint),
            incident_alerts.c.runbook.is_(None) | (incident_alerts.c.runbook == runbook),
        )
        .order_by(incidents.c.number.desc())
    )
    number: int | None = tx.conn.execute(query.limit(1)).scalar_one_or_none()
    return number


def firing_for_others(tx: Tx, incident: Incident) -> list[Alert]:
    """The alerts that joined since the incident was last opened, still fire, and match another runbook than its own."""
    query = select(incident_alerts).where(
        _fires(incident),
        incident_alerts.c.runbook.is_not(None),
        incident_alerts.c.runbook != incident.runbook,
        incident_alerts.c.source.is_not(None),
    )
    return [
        Alert(
            source=row.source,
            name=row.name,
            severity=Severity(row.severity),
            status=Status(row.status),
            starts_at=row.starts_at,
            fingerprint=row.fingerprint,
            labels=row.labels,
            annotations=row.annotations,
        )
        for row in tx.conn.execute(query.order_by(incident_alerts.c.first_seen))
    ]


def other_runbooks(tx: Tx, incident: Incident) -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """The other runbooks that match its alerts, by name: text, and the names of these alerts."""
    query = (
        select(incident_alerts.c.runbook, incident_alerts.c.name, runbook_versions.c.text)
        .join(runbook_versions, runbook_versions.c.version == incident_alerts.c.runbook_version)
        .where(incident_alerts.c.incident == incident.number, incident_alerts.c.runbook != (incident.runbook or ""))
        .order_by(incident_alerts.c.runbook, incident_alerts.c.name)
        .distinct()
    )
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for runbook, called, text in tx.conn.execute(query):
        _, names = found.get(runbook, (text, ()))
        found[runbook] = (text, (*names, called))
    return found


def cured(tx: Tx, alert: Alert, *, service: str, target: str, runbook: str | None) -> tuple[int, datetime] | None:
    """The last incident of the same fault and its end, if a playbook resolved it.

    The same fault: the same place and runbook, and this alert or one of its name. Another fault is another incident.
    """
    number = None if runbook is None else last_of(tx, alert, service=service, target=target, runbook=runbook)
    if number is None:
        return None
    last = get(tx, number)
    if last.ending not in (Ending.RECOVERED, Ending.REMEDIATED) or last.ended_at is None:
        return None
    return number, last.ended_at


FACTS = (
    TableFacts(
        table=incident_alerts,
        restore=Unchanged("they are what the incident was opened for"),
        retention=Unchanged("kept with their incident"),
        # an alert counts if it was last seen since its incident was opened
        times=((incident_alerts.c.first_seen, true()), (incident_alerts.c.last_seen, true())),
    ),
)
