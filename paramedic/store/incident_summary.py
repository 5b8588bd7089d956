"""Reads the summary of an incident: everything that pages, `incident show` and the run's page say about it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from paramedic.alerts.alert import Status
from paramedic.incidents.incident import Incident, name
from paramedic.messages.compose import mitigations
from paramedic.messages.summary import PAST_LIMIT, Change, Condition, NextPage, Summary, Told
from paramedic.oncall.on_call import Oncall
from paramedic.remediation.figures import Figure
from paramedic.store import (
    Tx,
    approvals,
    attempts,
    claims,
    evidence,
    incident_alerts,
    incidents,
    kill_switch,
    maintenance,
    messages,
    proposals,
    runbook_versions,
    trail,
)
from paramedic.store.messages import QueuedMessage
from paramedic.store.preceding import preceding
from paramedic.store.tables import acts as act_rows
from paramedic.store.tables import incidents as incident_rows


def summary(
    tx: Tx, incident: Incident, *, oncall: Oncall | None = None, sending: QueuedMessage | None = None, ui_url: str = ""
) -> Summary:
    """The incident's summary at this moment.

    `oncall` tells who is paged next (None: that is left out); `sending` is the page that is about to be sent, after which
    the next one is counted; `ui_url` is the address of the Prefect UI (empty: no link to the run).
    """
    timeline = list(trail.entries(tx, incident=incident.number))
    alerts = incident_alerts.of(tx, incident.number)
    claim = claims.current(tx, incident.target)
    acts_on = claim is not None and claim[1] and claim[0].incident == incident.number
    runbook = runbook_versions.runbook_text(tx, incident.runbook_version) if incident.runbook_version else ""
    looked_at = evidence.of(tx, incident.number)
    ran = [attempt.flow_run for attempt in attempts.of(tx, incident.number) if attempt.flow_run is not None]
    return Summary(
        incident=incident,
        now=tx.now,
        runbook=runbook,
        mitigation=mitigations(runbook, incident_alerts.other_runbooks(tx, incident)),
        condition=_condition(incident, alerts),
        alerts=alerts,
        affected=incident_alerts.affected(tx, incident.number),
        changes=tuple(_changes(tx, incident.number)),
        open_changes=tuple(_open_changes(tx, incident)),
        proposals=proposals.of(tx, incident.number),
        timeline=timeline,
        notes=incidents.notes(tx, timeline),
        evidence=looked_at,
        acting=claim[0].holder if acts_on and claim is not None else None,
        question=approvals.asked(tx, incident.number),
        paused=kill_switch.stopping(tx, service=incident.service, runbook=incident.runbook),
        window=maintenance.covering(tx, service=incident.service, target=incident.target),
        told=tuple(_told(tx, incident.number)),
        next_page=None if oncall is None else _next_page(tx, incident, oncall, sending),
        past=tuple(_past(tx, incident)),
        run_url=f"{ui_url.rstrip('/')}/runs/flow-run/{ran[-1]}" if ran and ui_url else "",
        preceding=preceding(tx, incident, alerts, looked_at, timeline),
    )


def condition(tx: Tx, incident: Incident) -> Condition:
    """The state of the incident's alerts, of those reported since it was last opened."""
    return _condition(incident, incident_alerts.of(tx, incident.number))


def _condition(incident: Incident, known: list[dict[str, Any]]) -> Condition:
    since = incident.reopened_at or incident.opened_at
    alerts = [alert for alert in known if alert["last_seen"] >= since]
    firing = [alert for alert in alerts if alert["status"] == Status.FIRING]
    ended = [min(alert["ends_at"] or alert["last_seen"], alert["last_seen"]) for alert in alerts]
    return Condition(
        firing=len(firing),
        of=len(alerts),
        said_at=max((alert["last_seen"] for alert in firing), default=None),
        ended_at=max(ended) if ended and not firing else None,
    )


def _changes(tx: Tx, number: int) -> Iterator[Change]:
    query = select(act_rows).where(act_rows.c.incident == number).order_by(act_rows.c.id)
    return (_change(row) for row in tx.conn.execute(query))


def _open_changes(tx: Tx, incident: Incident) -> Iterator[Change]:
    here = (act_rows.c.target == incident.target) | (act_rows.c.incident == incident.number)
    query = select(act_rows).where(act_rows.c.result.is_(None), here).order_by(act_rows.c.id)
    return (_change(row) for row in tx.conn.execute(query))


def _change(row: Any) -> Change:
    figures = tuple(Figure.from_json(kept) for kept in row.figures or ())
    return Change(row.remedy, row.target, name(row.incident), row.written_at, row.result, row.why or "", figures)


def _told(tx: Tx, number: int) -> Iterator[Told]:
    for message in messages.of(tx, number):
        if message.state == "sent" and message.person is not None and message.sent_at is not None:
            yield Told(message.person, message.sent_at)


def _next_page(tx: Tx, incident: Incident, oncall: Oncall, sending: QueuedMessage | None) -> NextPage | None:
    """The page that is due next; while one is being sent, the one that is queued after it."""
    if sending is not None:
        policy = oncall.policy(sending.policy, sending.severity)
        if proposals.pages_first_alone(tx, incident.number):
            return _page_at(oncall, policy.step(max(sending.step, 0)).tell, tx.now + policy.repeat)
        at = tx.now + policy.wait_after(max(sending.step, 0))
        return _page_at(oncall, policy.step(sending.step + 1).tell, at)
    due = [
        message
        for message in messages.of(tx, incident.number)
        if message.kind == "rung" and message.state in ("due", "sending")
    ]
    if not due:
        return None
    first = min(due, key=lambda message: message.due_at)
    step = oncall.policy(first.policy, first.severity).step(first.step)
    at = first.due_at + step.after if first.begins else first.due_at
    return _page_at(oncall, first.recipient or step.tell, at)


def _page_at(oncall: Oncall, tell: str, at: Any) -> NextPage | None:
    person = oncall.person(tell, at)
    return None if person is None else NextPage(person.id, at)


def _past(tx: Tx, incident: Incident) -> Iterator[Incident]:
    """Earlier incidents of the same fault: the same place, and the same runbook or title."""
    same = (incident_rows.c.service == incident.service) & (incident_rows.c.target == incident.target)
    alike = incident_rows.c.title == incident.title
    if incident.runbook is not None:
        alike |= incident_rows.c.runbook == incident.runbook
    query = select(incident_rows.c.number).where(incident_rows.c.number < incident.number, same, alike)
    query = query.where(incident_rows.c.opened_at > tx.now - _REMEMBERED)
    for number in tx.conn.execute(query.order_by(incident_rows.c.number.desc()).limit(PAST_LIMIT)).scalars():
        yield incidents.get(tx, number)


#: Incidents older than this tell nothing about the present one.
_REMEMBERED = timedelta(days=365)
