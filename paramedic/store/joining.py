"""Joining: an alert becomes part of an incident, which may raise its severity and update its holder."""

from sqlalchemy import select, update

from paramedic.alerts.alert import LEFT_OUT, Alert, Severity, Status
from paramedic.alerts.alert_object import shown_name
from paramedic.incidents.incident import Incident, State, name
from paramedic.store import Tx, held_alerts, incident_alerts, messages
from paramedic.store.incident_alerts import Noted
from paramedic.store.incidents import get, set_state, start_escalation
from paramedic.store.runbook_versions import Plan, pin
from paramedic.store.tables import incidents, trail
from paramedic.store.trail import append


def join(tx: Tx, number: int, alert: Alert, *, reason: str, plan: Plan | None = None, flaps: bool = False) -> None:
    """Join the alert to this incident: counted if known, on the trail if new or worse.

    `plan` is that of the runbook that matches it. People paged about the incident get an update on an alert of another name,
    of another object, and on one that is worse than what they acknowledged. Of the turns of one that flaps they know.
    """
    if plan is not None:
        pin(tx, plan)
    wanted = plan.wanted if plan else None
    noted = incident_alerts.note(tx, number, alert, wanted)
    if noted.changed:
        append(
            tx,
            actor="triage",
            phase="decision",
            what=f"alert.{alert.status}",
            incident=number,
            reason=reason,
            data={"fingerprint": alert.fingerprint, "severity": alert.severity.value},
            content={"alert": alert.as_json()},
        )
    elif LEFT_OUT in " ".join(alert.notes):
        _say_left_out(tx, number, alert)
    body = incident_alerts.joined(alert, wanted, number)
    incident = get(tx, number)
    # One more that fires as badly as the incident is leaves it so. To look at all the others would take the longer, the more
    # of them there are.
    as_before = alert.status is Status.FIRING and alert.severity is incident.severity
    if as_before or not judge_severity(tx, number, body):
        _update_on_join(tx, incident if as_before else get(tx, number), alert, noted, body)
    if noted.turned is Status.RESOLVED:  # its service may be up by now, and what depends on it waits for that
        held_alerts.look_again_for(tx, held_alerts.for_incident(number))
    if noted.turned is not None and not noted.is_change and not flaps:
        _update_on_turn(tx, get(tx, number), noted.turned)


def _say_left_out(tx: Tx, number: int, alert: Alert) -> None:
    """Write onto the incident, once, that its sender leaves alerts out of its group by now."""
    said = tx.conn.execute(
        select(trail.c.seq).where(trail.c.incident == name(number), trail.c.what == "alert.truncated").limit(1)
    )
    if said.one_or_none() is None:
        words = next(note for note in alert.notes if LEFT_OUT in note)
        append(tx, actor="triage", phase="decision", what="alert.truncated", incident=number, reason=words)


def _update_on_turn(tx: Tx, incident: Incident, turned: Status) -> None:
    """Update the holder, or whoever was paged, when the last of its alerts ends and when one fires again."""
    if incident.state not in (State.ACKNOWLEDGED, State.HANDED_OVER):
        return
    fire = incident_alerts.firing(tx, incident, at_most=2)
    subject = {(Status.RESOLVED, 0): messages.ENDED, (Status.FIRING, 1): messages.AGAIN}.get((turned, fire))
    if subject is None:
        return
    by_acknowledgement = [incident.acknowledged_by] if incident.state is State.ACKNOWLEDGED else []
    for holder in by_acknowledgement or messages.paged(tx, incident.number):
        if messages.withdraw_update(tx, incident.number, holder, subject={messages.ENDED, messages.AGAIN} - {subject}):
            continue  # the turn before was not heard of: there is none
        messages.queue_update(
            tx,
            incident=incident.number,
            policy=incident.policy,
            # That it ended wakes nobody.
            severity=Severity.WARNING if subject == messages.ENDED else incident.severity,
            subject=subject,
            body="",
            recipient=holder,
        )


def _update_on_join(tx: Tx, incident: Incident, alert: Alert, noted: Noted, body: str) -> None:
    """Update the holder, or whoever was paged, about this alert. While a playbook works there is nobody to update."""
    if not noted.is_change or incident.state not in (State.HANDED_OVER, State.ACKNOWLEDGED):
        return
    if incident.state is State.ACKNOWLEDGED or messages.any_step_paged(tx, incident.number):
        _queue_update(tx, incident, subject=f"{shown_name(alert)} joined it ({alert.severity})", body=body)


def _queue_update(tx: Tx, incident: Incident, *, subject: str, body: str) -> None:
    holder = incident.acknowledged_by if incident.state is State.ACKNOWLEDGED else None
    messages.update_holder(tx, incident, holder, subject=subject, body=body)


def update_affected(tx: Tx, incident: Incident, alert: Alert, *, service: str, customers: str | None) -> None:
    """Update the holder, or whoever was paged: an alert of a service that depends on the incident's waits for it."""
    noticed = f"What customers notice: {customers}\n" if customers else ""
    body = f"{shown_name(alert)} of {service} waits for this incident, and is looked at again when that is over.\n{noticed}"
    paged = incident.state is State.HANDED_OVER and messages.paged(tx, incident.number)
    if paged or incident.state is State.ACKNOWLEDGED:
        subject = f"{service}, which depends on it, fails too: {shown_name(alert)} ({alert.severity})"
        _queue_update(tx, incident, subject=subject, body=body.rstrip())


def judge_severity(tx: Tx, number: int, body: str = "") -> bool:
    """Raise the incident to the worst firing alert since it was last opened; ended alerts do not lower it.

    True if people were updated about the rise; `body` says what caused it.
    """
    incident = get(tx, number)
    severities = incident_alerts.firing_severities(tx, incident)
    if not severities:
        return False
    worst = Severity.CRITICAL if Severity.CRITICAL in severities else Severity.WARNING
    if worst is incident.severity:
        return False
    tx.conn.execute(update(incidents).where(incidents.c.number == number).values(severity=worst))
    append(
        tx,
        actor="triage",
        phase="decision",
        what="incident.rose" if worst is Severity.CRITICAL else "incident.fell",
        incident=number,
        target=incident.target,
        reason=f"the worst alert that fires is {worst}, it was {incident.severity}",
        data={"severity": worst.value, "before": incident.severity.value},
    )
    if worst is not Severity.CRITICAL or incident.state not in (State.HANDED_OVER, State.ACKNOWLEDGED):
        return False
    risen = get(tx, number)
    if risen.state is State.ACKNOWLEDGED and risen.acknowledged_severity is Severity.CRITICAL:
        _queue_update(tx, risen, subject="critical again, as when it was acknowledged", body=body)
    else:
        _restart_escalation(tx, risen, body)
    return True


def _restart_escalation(tx: Tx, incident: Incident, body: str) -> None:
    """Replace the escalation for a warning by that for critical.

    An acknowledgement of the warning does not cover this: its person gets an update, and the steps for critical begin.
    """
    messages.withdraw(tx, incident.number)
    if incident.state is State.ACKNOWLEDGED:
        _queue_update(tx, incident, subject="critical now, escalated again", body=body)
        set_state(tx, incident, State.HANDED_OVER)
    start_escalation(tx, incident)
    append(
        tx,
        actor="triage",
        phase="decision",
        what="escalation.begun_anew",
        incident=incident.number,
        target=incident.target,
        reason="it has become critical: the rungs for critical begin",
    )
