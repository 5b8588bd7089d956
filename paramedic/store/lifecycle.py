"""The lifecycle of an incident: opened, reopened, handed over, acknowledged, resolved. Every move is checked and on the trail."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, select, true, update

from paramedic.alerts.alert import Alert
from paramedic.alerts.alert_object import shown_name
from paramedic.incidents.incident import IllegalMove, Incident, State, move
from paramedic.incidents.incident import reopen as reopened
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.incidents.tier import Tier
from paramedic.machine.clock import spoken
from paramedic.remediation.approval import RESTORE
from paramedic.remediation.service import UNLISTED, ServiceFacts
from paramedic.store import Tx, acts, approvals, held_alerts, inbox, incident_alerts, incidents, messages
from paramedic.store.attempts import end_attempts, raise_attempt, rungs_of
from paramedic.store.incident_alerts import Wanted
from paramedic.store.incidents import get, set_state, start_escalation
from paramedic.store.joining import judge_severity
from paramedic.store.runbook_versions import Plan, pin
from paramedic.store.table_facts import Restoration, TableFacts, Unchanged
from paramedic.store.tables import acts as act_rows
from paramedic.store.tables import incidents as incident_rows
from paramedic.store.trail import append


def open_incident(
    tx: Tx,
    alert: Alert,
    *,
    service: str,
    target: str,
    policy: str,
    reason: str,
    plan: Plan | None,
    about: ServiceFacts = UNLISTED,
    attempts: int = 1,
) -> Incident:
    """Open an incident, with its first attempt or, without a plan, its first page. No `attempts`: the caller hands it over."""
    if plan is not None:
        pin(tx, plan)
    number: int = tx.conn.execute(
        insert(incident_rows)
        .values(
            service=service,
            target=target,
            title=shown_name(alert),
            severity=alert.severity,
            state=State.OPEN,
            attempt=0,
            policy=policy,
            tier=about.tier,
            opened_at=tx.now,
            runbook=plan.runbook if plan else None,
            runbook_version=plan.version if plan else None,
            notify=list(plan.notify) if plan else None,
        )
        .returning(incident_rows.c.number)
    ).scalar_one()
    append(
        tx,
        actor="triage",
        phase="decision",
        what="incident.opened",
        incident=number,
        target=target,
        reason=reason,
        data=_opening(alert, plan, about),
        content={"alert": alert.as_json()},
    )
    incident_alerts.note(tx, number, alert, plan.wanted if plan else None)
    update_channels(tx, number, "opened")
    if plan is not None and attempts:
        raise_attempt(tx, number, after=0, rungs=plan.rungs, reason=reason, actor="triage")
    return get(tx, number)


def _opening(alert: Alert, plan: Plan | None, about: ServiceFacts) -> dict[str, Any]:
    known: dict[str, Any] = {
        "severity": alert.severity.value,
        "runbook": plan.runbook if plan else None,
        "fingerprint": alert.fingerprint,
    }
    tier = None if about.tier is Tier.STANDARD else about.tier.value
    more = {"owner": about.owner, "tier": tier, "customers": about.customers}
    needs = {"depends_on": sorted(about.depends_on)} if about.depends_on else {}
    return known | needs | {name: words for name, words in more.items() if words is not None}


def reopen(tx: Tx, number: int, alert: Alert, *, reason: str, again: bool = False) -> Incident:
    """Reopen an incident that a playbook had resolved. The next attempt has the remedies that are not used up.

    With `again`, the runbook's word, it also has those that were verified well and did not last.

    Raises IllegalMove for an incident that a person has or ended. A resolution not yet sent is withdrawn.
    """
    incident = get(tx, number)
    state = reopened(incident.state, incident.ending)
    tx.conn.execute(
        update(incident_rows)
        .where(incident_rows.c.number == number)
        .values(state=state, ending=None, because=None, ended_at=None, reopened_at=tx.now)
    )
    messages.withdraw(tx, number, kind="news")
    append(
        tx,
        actor="triage",
        phase="decision",
        what="incident.reopened",
        incident=number,
        target=incident.target,
        reason=reason,
        data={"severity": alert.severity.value, "fingerprint": alert.fingerprint, "ended": str(incident.ending)},
        content={"alert": alert.as_json()},
    )
    known = incident.runbook is not None and incident.runbook_version is not None
    incident_alerts.note(
        tx, number, alert, Wanted(incident.runbook or "", incident.runbook_version or "") if known else None
    )
    judge_severity(tx, number)
    raise_attempt(
        tx, number, after=incident.attempt, rungs=rungs_of(tx, number), reason=reason, actor="triage", again=again
    )
    return get(tx, number)


def resolve(tx: Tx, number: int, outcome: Outcome, *, actor: str, data: Mapping[str, Any] | None = None) -> Incident:
    """Resolve the incident: verified by a playbook, or by a named person. Raises IllegalMove.

    A person's resolution also settles an act whose outcome was open. On the trail it is `incident.resolved`, and the
    incident keeps the ending with which it came to people.
    """
    by_a_person = outcome.needs_a_person  # what a playbook ends well is named so
    person = actor.removeprefix("person:") if by_a_person and actor.startswith("person:") else None
    incident = get(tx, number)
    end_attempts(tx, number, "closed")
    messages.withdraw(tx, number)
    tx.conn.execute(
        update(act_rows)
        .where(act_rows.c.incident == number, act_rows.c.result.is_(None))
        .values(result="decided", why=f"decided by {actor}", closed_at=tx.now)
    )
    ended = {"ending": outcome.ending, "because": outcome.because, "ended_at": tx.now, "resolved_by": person}
    set_state(tx, incident, State.RESOLVED, **ended)
    held_alerts.look_again_for(tx, held_alerts.for_incident(number))
    append(
        tx,
        actor=actor,
        phase="outcome",
        what="incident.resolved" if by_a_person else f"incident.{outcome.ending}",
        incident=number,
        target=incident.target,
        reason=outcome.because,
        data=data,
    )
    if person is not None and incident.state is State.ACKNOWLEDGED and (holder := incident.taken_from(person)):
        messages.update_holder(tx, incident, holder, subject=f"{person} has resolved it", body=outcome.because)
    by = f"resolved by {person}" if person else "resolved"
    update_channels(tx, number, by if by_a_person else str(outcome.ending))
    if not by_a_person:
        _ask_again(tx, incident)
    return get(tx, number)


def _ask_again(tx: Tx, incident: Incident) -> None:
    """Decide again on alerts that joined while a playbook worked, still fire and match another runbook.

    They wait for that runbook's settle time, like all that began before a verified cure. A person's resolution covers them.
    """
    for alert in incident_alerts.firing_for_others(tx, incident):
        inbox.put(tx, [alert], source=alert.source, sender=f"paramedic: {incident.id} ended", tier=incident.tier)


def update_channels(tx: Tx, number: int, happened: str) -> None:
    """Queue updates to the channels that the incident's runbook names."""
    row = tx.conn.execute(
        select(incident_rows.c.policy, incident_rows.c.notify).where(incident_rows.c.number == number)
    ).one()
    for channel in row.notify or ():
        messages.queue_channel_update(tx, incident=number, policy=row.policy, channel=channel, happened=happened)


def hand_over(
    tx: Tx, number: int, outcome: Outcome, *, actor: str, page: bool = True, happened: str | None = None
) -> Incident:
    """Hand the incident over to a person: grants are revoked, and the first page is due now. Idempotent once handed over.

    Without `page` the caller starts the escalation, if it must be. `happened` is what channels are told, else the ending.

    Raises IllegalMove where a person already has it or it has ended.
    """
    incident = get(tx, number)
    if incident.state is State.HANDED_OVER:
        return incident
    if incident.state is State.ACKNOWLEDGED:
        raise IllegalMove(f"{incident.id} is acknowledged: it is {incident.acknowledged_by}'s, whatever a run says")
    end_attempts(tx, number, "closed")
    set_state(tx, incident, State.HANDED_OVER, ending=outcome.ending, because=outcome.because)
    append(
        tx,
        actor=actor,
        phase="outcome",
        what=f"incident.{outcome.ending}",
        incident=number,
        target=incident.target,
        reason=outcome.because,
    )
    if page:
        start_escalation(tx, incident)
    update_channels(tx, number, happened or outcome.ending.replace("_", " "))
    return get(tx, number)


def acknowledge(tx: Tx, number: int, *, by: str, reason: str) -> Incident:
    """Acknowledge by a named person: no further change, no further escalation. Idempotent for the same person.

    Whoever had it before gets an update: it is taken over, which the trail says by both names. Raises IllegalMove if it
    has ended.
    """
    incident = get(tx, number)
    if incident.state is State.ACKNOWLEDGED and incident.acknowledged_by == by:
        return incident
    move(incident.state, State.ACKNOWLEDGED)
    end_attempts(tx, number, "closed")
    messages.withdraw(tx, number)
    ending = incident.ending or Ending.HANDED_OVER
    set_state(tx, incident, State.ACKNOWLEDGED, **_taken(tx, incident, by), ending=ending)
    before = incident.taken_from(by)
    append(
        tx,
        actor=f"person:{by}",
        phase="decision",
        what="incident.acknowledged" if before is None else "incident.taken_over",
        incident=number,
        target=incident.target,
        reason=reason if before is None else f"{by} took it over from {before}, {reason}",
        data=None if before is None else {"from": before},
    )
    if before is not None:
        _tell_taken_over(tx, incident, by=by, before=before)
    return get(tx, number)


def _taken(tx: Tx, incident: Incident, by: str) -> dict[str, Any]:
    return {
        "acknowledged_by": by,
        "acknowledged_at": tx.now,
        "acknowledged_severity": incident.severity,
        "first_acknowledged_at": incident.first_acknowledged_at or tx.now,
    }


def _tell_taken_over(tx: Tx, incident: Incident, *, by: str, before: str) -> None:
    """Update the person who had the incident that it is somebody else's now: two would work on it otherwise."""
    messages.withdraw_update(tx, incident.number, by, subject={_taken_by(before)})  # which is true no more
    body = f"It was yours. If you have begun something, tell {by}."
    messages.update_holder(tx, incident, before, subject=_taken_by(by), body=body)


def _taken_by(person: str) -> str:
    return f"{person} has taken it over from you"


def end_acknowledgement(tx: Tx, number: int, *, after: timedelta) -> bool:
    """End an acknowledgement that is older than `after`: the escalation resumes. False: it is not, or not any more.

    Its person is paged first, then the escalation continues from where it was. Automation does not act on it again.
    """
    incident = get(tx, number)
    since = incident.acknowledged_at
    if incident.state is not State.ACKNOWLEDGED or since is None or tx.now - since < after:
        return False
    who = incident.acknowledged_by or "nobody"
    set_state(tx, incident, State.HANDED_OVER)
    messages.queue_page(
        tx,
        incident=number,
        policy=incident.policy,
        severity=incident.severity,
        step=-1 if (last := messages.last_step_paged(tx, number, incident.severity)) is None else last,
        due_at=tx.now,
        recipient=who,
    )
    append(
        tx,
        actor="timer",
        phase="decision",
        what="acknowledgement.ended",
        incident=number,
        target=incident.target,
        reason=f"{who} has had it for {spoken(after)}, and it is not over: {who} is told first, then the rungs climb on",
    )
    return True


def _restore(tx: Tx, restoration: Restoration) -> None:
    """In a restore, automation's incidents go to a person, and escalations start again with the first step."""
    escalating = incidents.numbers(tx, State.HANDED_OVER)
    for number in incidents.numbers(tx, State.OPEN, State.WORKING):
        waits = approvals.asked(tx, number)
        if waits is not None:
            approvals.expire(tx, waits.id, actor="restore", how=RESTORE)
        unsettled = acts.open_on(tx, get(tx, number).target)
        known = f"; {unsettled.words} has no outcome" if unsettled is not None else ""
        because = f"{restoration.reason}: what became of it since is not known{known}"
        hand_over(tx, number, Outcome(Ending.HANDED_OVER, because), actor="restore")
    for number in escalating:
        messages.withdraw(tx, number)
        start_escalation(tx, get(tx, number))


FACTS = (
    TableFacts(
        table=incident_rows,
        restore=_restore,
        retention=Unchanged("the story of what was done is kept"),
        # acts, alerts and samples are compared with when it was opened, opened again and ended
        times=(
            (incident_rows.c.acknowledged_at, incident_rows.c.state == "acknowledged"),
            *(
                (column, true())
                for column in (incident_rows.c.opened_at, incident_rows.c.reopened_at, incident_rows.c.ended_at)
            ),
        ),
    ),
)
