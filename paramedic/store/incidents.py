"""Incidents and their attempts. Every move is checked by the machine and told on the trail, in one transaction."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.alert_object import shown_name
from paramedic.alerts.last_word import LastWord
from paramedic.incidents.incident import IllegalMove, Incident, State, move, name
from paramedic.incidents.incident import reopen as reopened
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.machine.clock import spoken
from paramedic.store import Tx, alerts, approvals, inbox, messages, outbox
from paramedic.store.alerts import Noted, Wanted
from paramedic.store.tables import (
    acts,
    attempts,
    evidence,
    fingerprints,
    grants,
    incident_alerts,
    incidents,
    runbook_versions,
)
from paramedic.store.trail import append


class NoSuchIncident(LookupError):
    """The store knows no incident of this number."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a runbook wants done about a new incident. Without one, a person is told at once."""

    runbook: str
    version: str
    text: str
    rungs: int  # how many remedies the ladder has
    notify: tuple[str, ...] = ()  # ways of the channels that hear of it

    @property
    def wanted(self) -> Wanted:
        """Which runbook wants the alert."""
        return Wanted(self.runbook, self.version)


def get(tx: Tx, number: int) -> Incident:
    """The incident as it stands. Raises NoSuchIncident."""
    row = tx.conn.execute(_GET, {"at_number": number}).one_or_none()
    if row is None:
        raise NoSuchIncident(f"there is no {name(number)} in this store")
    return _incident(tx, row)


def live(tx: Tx, service: str, target: str) -> Incident | None:
    """The one incident of this service and target that has not ended."""
    row = tx.conn.execute(_LIVE, {"at_service": service, "at_target": target}).one_or_none()
    return None if row is None else _incident(tx, row)


#: What every alert asks is built once: building a statement costs more than running it.
_LIVE = select(incidents).where(
    incidents.c.service == bindparam("at_service"),
    incidents.c.target == bindparam("at_target"),
    incidents.c.state != State.RESOLVED,
)
_GET = select(incidents).where(incidents.c.number == bindparam("at_number"))
_LAST_SAID = select(fingerprints).where(fingerprints.c.fingerprint == bindparam("of"))


def alike(tx: Tx, alert: Alert, service: str, prefix: str) -> int:
    """How many incidents of this service, opened by an alert of this name, go on at targets that begin with `prefix`."""
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
    """The newest incidents first; `since` is when they were last opened, `before` pages on from a number."""
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


def well_at(tx: Tx, target: str) -> datetime | None:
    """When a playbook last ended with this target verified well."""
    query = select(func.max(incidents.c.ended_at)).where(
        incidents.c.target == target, incidents.c.ending.in_((Ending.RECOVERED, Ending.REMEDIATED))
    )
    moment: datetime | None = tx.conn.execute(query).scalar_one_or_none()
    return moment


def last_ended_at(tx: Tx, target: str) -> datetime | None:
    """When an incident on this target last ended, whoever ended it. What was seen before proves nothing about the time after."""
    query = select(func.max(incidents.c.ended_at)).where(
        incidents.c.target == target, incidents.c.state == State.RESOLVED
    )
    moment: datetime | None = tx.conn.execute(query).scalar_one_or_none()
    return moment


def cured(tx: Tx, alert: Alert, *, service: str, target: str, runbook: str | None) -> tuple[int, datetime] | None:
    """The last incident of the same fault and when it ended, if a playbook ended it well.

    The same fault: the same place and runbook, and this alert or one of its name. Another fault is another incident.
    """
    number = None if runbook is None else alerts.last_of(tx, alert, service=service, target=target, runbook=runbook)
    if number is None:
        return None
    last = get(tx, number)
    if last.ending not in (Ending.RECOVERED, Ending.REMEDIATED) or last.ended_at is None:
        return None
    return number, last.ended_at


def cures(tx: Tx, target: str, within: timedelta) -> int:
    """How often a change of ours healed this target within the time that lies behind."""
    query = select(func.count()).where(
        acts.c.target == target, acts.c.result == "cured", acts.c.closed_at > tx.now - within
    )
    return tx.conn.execute(query).scalar_one()


def last_said(tx: Tx, fingerprint: str) -> LastWord | None:
    """The last thing that was said under this fingerprint."""
    row = tx.conn.execute(_LAST_SAID, {"of": fingerprint}).one_or_none()
    return None if row is None else LastWord(Status(row.status), row.starts_at, row.heard_at)


def said(tx: Tx, alert: Alert, *, heard_at: datetime | None = None) -> None:
    """Remember the newest word under the alert's fingerprint, and when it was received: now, where nothing else is said."""
    values = {"status": alert.status, "starts_at": alert.effective_at, "heard_at": heard_at or tx.now}
    dialect = postgresql if tx.conn.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(fingerprints).values(fingerprint=alert.fingerprint, **values)
    tx.conn.execute(statement.on_conflict_do_update(index_elements=["fingerprint"], set_=values))


def open_incident(
    tx: Tx, alert: Alert, *, service: str, target: str, policy: str, reason: str, plan: Plan | None
) -> Incident:
    """Open one, and with it either its first attempt or, without a plan, its first rung."""
    if plan is not None:
        _pin(tx, plan)
    number: int = tx.conn.execute(
        insert(incidents)
        .values(
            service=service,
            target=target,
            title=shown_name(alert),
            severity=alert.severity,
            state=State.OPEN,
            attempt=0,
            policy=policy,
            opened_at=tx.now,
            runbook=plan.runbook if plan else None,
            runbook_version=plan.version if plan else None,
            notify=list(plan.notify) if plan else None,
        )
        .returning(incidents.c.number)
    ).scalar_one()
    append(
        tx,
        actor="triage",
        phase="decision",
        what="incident.opened",
        incident=number,
        target=target,
        reason=reason,
        data={
            "severity": alert.severity.value,
            "runbook": plan.runbook if plan else None,
            "fingerprint": alert.fingerprint,
        },
        content={"alert": alert.as_json()},
    )
    alerts.note(tx, number, alert, plan.wanted if plan else None)
    _give_notice(tx, number, "opened")
    if plan is not None:
        raise_attempt(tx, number, after=0, rungs=plan.rungs, reason=reason, actor="triage")
    return get(tx, number)


def reopen(tx: Tx, number: int, alert: Alert, *, reason: str) -> Incident:
    """It began again after a playbook had ended it well. The next attempt has the remedies that it has not used up.

    Raises IllegalMove for an incident that a person has or ended. News of the end that has not left is withdrawn.
    """
    incident = get(tx, number)
    state = reopened(incident.state, incident.ending)
    tx.conn.execute(
        update(incidents)
        .where(incidents.c.number == number)
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
    alerts.note(tx, number, alert, Wanted(incident.runbook or "", incident.runbook_version or "") if known else None)
    _judge_severity(tx, number)
    raise_attempt(tx, number, after=incident.attempt, rungs=rungs_of(tx, number), reason=reason, actor="triage")
    return get(tx, number)


def join(tx: Tx, number: int, alert: Alert, *, reason: str, plan: Plan | None = None) -> None:
    """The alert is part of this incident: counted if it is known, told on the trail if it is new or worse.

    `plan` is that of the runbook that wants it. Whoever has been told of the incident hears of an alert of another name,
    of another object, and of one that is worse than what they acknowledged.
    """
    if plan is not None:
        _pin(tx, plan)
    wanted = plan.wanted if plan else None
    noted = alerts.note(tx, number, alert, wanted)
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
    body = alerts.joined(alert, wanted, number)
    incident = get(tx, number)
    # One more that fires as badly as the incident is leaves it so. To look at all the others would take the longer, the more
    # of them there are.
    as_before = alert.status is Status.FIRING and alert.severity is incident.severity
    if as_before or not _judge_severity(tx, number, body):
        _tell_joined(tx, incident if as_before else get(tx, number), alert, noted, body)
    if noted.turned is not None and not noted.is_news:
        _tell_turn(tx, get(tx, number), noted.turned)


def _tell_turn(tx: Tx, incident: Incident, turned: Status) -> None:
    """Whoever has it, or was paged for it, hears when the last of its alerts ended, and when one fires again."""
    if incident.state not in (State.ACKNOWLEDGED, State.HANDED_OVER):
        return
    fire = alerts.firing(tx, incident, at_most=2)
    subject = {(Status.RESOLVED, 0): messages.ENDED, (Status.FIRING, 1): messages.AGAIN}.get((turned, fire))
    if subject is None:
        return
    by_acknowledgement = [incident.acknowledged_by] if incident.state is State.ACKNOWLEDGED else []
    for holder in by_acknowledgement or messages.paged(tx, incident.number):
        if messages.untold(tx, incident.number, holder, subject={messages.ENDED, messages.AGAIN} - {subject}):
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


def _tell_joined(tx: Tx, incident: Incident, alert: Alert, noted: Noted, body: str) -> None:
    """Whoever has the incident, or was paged for it, does not know of this alert. While a playbook works nobody does."""
    paged = incident.state is State.HANDED_OVER and any(
        messages.climbed(tx, incident.number, severity) is not None for severity in Severity
    )
    if noted.is_news and (paged or incident.state is State.ACKNOWLEDGED):
        _queue_update(tx, incident, subject=f"{shown_name(alert)} joined it ({alert.severity})", body=body)


def _queue_update(tx: Tx, incident: Incident, *, subject: str, body: str) -> None:
    holder = incident.acknowledged_by if incident.state is State.ACKNOWLEDGED else None
    messages.queue_update(
        tx,
        incident=incident.number,
        policy=incident.policy,
        severity=incident.severity,
        subject=subject,
        body=body,
        recipient=holder,
    )


def _judge_severity(tx: Tx, number: int, body: str = "") -> bool:
    """The worst of what fires since the incident was last opened; what fires no longer leaves it as it was.

    True if people were told that it rose; `body` says what made it rise.
    """
    incident = get(tx, number)
    firing = select(incident_alerts.c.severity).where(
        incident_alerts.c.incident == number,
        incident_alerts.c.status == Status.FIRING,
        incident_alerts.c.last_seen >= (incident.reopened_at or incident.opened_at),
    )
    said = set(tx.conn.execute(firing.distinct()).scalars())
    if not said:
        return False
    worst = Severity.CRITICAL if Severity.CRITICAL in said else Severity.WARNING
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
        _begin_anew(tx, risen, body)
    return True


def _begin_anew(tx: Tx, incident: Incident, body: str) -> None:
    """Where rungs for a warning climb, those for critical begin in their place.

    Who acknowledged a warning did not acknowledge this: they hear of it, and so do the rungs for critical.
    """
    messages.withdraw(tx, incident.number)
    if incident.state is State.ACKNOWLEDGED:
        _queue_update(tx, incident, subject="critical now, escalated again", body=body)
        _set_state(tx, incident, State.HANDED_OVER)
    climb(tx, incident)
    append(
        tx,
        actor="triage",
        phase="decision",
        what="escalation.begun_anew",
        incident=incident.number,
        target=incident.target,
        reason="it has become critical: the rungs for critical begin",
    )


def climb(tx: Tx, incident: Incident) -> None:
    """The first rung for its severity is due now."""
    messages.queue_rung(
        tx, incident=incident.number, policy=incident.policy, severity=incident.severity, rung=0, due_at=tx.now
    )


def alerts_of(tx: Tx, number: int) -> list[dict[str, Any]]:
    """The incident's alerts, each with how often it was said."""
    return alerts.of(tx, number)


def _pin(tx: Tx, plan: Plan) -> None:
    known = tx.conn.execute(
        select(runbook_versions.c.version).where(runbook_versions.c.version == plan.version)
    ).one_or_none()
    if known is None:
        tx.conn.execute(insert(runbook_versions).values(version=plan.version, name=plan.runbook, text=plan.text))


def runbook_text(tx: Tx, version: str) -> str:
    """The runbook as it was when the incident began."""
    query = select(runbook_versions.c.text).where(runbook_versions.c.version == version)
    text: str = tx.conn.execute(query).scalar_one()
    return text


# --- attempts -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of the playbook at an incident."""

    incident: int
    attempt: int
    state: str  # open, closed, given_up
    raised_at: datetime
    dispatched_at: datetime | None
    flow_run: str | None
    began_at: datetime | None


def attempt_of(tx: Tx, number: int, attempt: int) -> Attempt | None:
    """The attempt as it stands."""
    row = tx.conn.execute(
        select(attempts).where(attempts.c.incident == number, attempts.c.attempt == attempt)
    ).one_or_none()
    return None if row is None else _attempt(row)


def attempts_of(tx: Tx, number: int) -> list[Attempt]:
    """All attempts, oldest first."""
    query = select(attempts).where(attempts.c.incident == number).order_by(attempts.c.attempt)
    return [_attempt(row) for row in tx.conn.execute(query)]


def open_attempts(tx: Tx) -> list[Attempt]:
    """Every attempt that has not ended, of every incident: what the watchdog looks at."""
    query = select(attempts).where(attempts.c.state == "open").order_by(attempts.c.raised_at)
    return [_attempt(row) for row in tx.conn.execute(query)]


def rungs_of(tx: Tx, number: int) -> int:
    """How many remedies its ladder has."""
    query = select(func.max(grants.c.rung)).where(grants.c.incident == number)
    return tx.conn.execute(query).scalar_one() or 0


def is_granted(tx: Tx, number: int, attempt: int, rung: int) -> bool:
    """Whether this attempt still has the permission for this rung: not spent by it or one before, not revoked."""
    mine = (grants.c.incident == number) & (grants.c.attempt == attempt) & (grants.c.rung == rung)
    return tx.conn.execute(select(grants.c.state).where(mine)).scalar_one_or_none() == "open"


def raise_attempt(tx: Tx, number: int, *, after: int, rungs: int, reason: str, actor: str = "watchdog") -> bool:
    """Hand the incident on to attempt `after` + 1, by one compare-and-set. False: somebody else already did.

    The attempt before is given up: what it has left of grants is revoked, and a rung that was ever consumed is not
    granted again, whatever became of it (P4).
    """
    raised = tx.conn.execute(
        update(incidents)
        .where(
            incidents.c.number == number,
            incidents.c.attempt == after,
            incidents.c.state.in_((State.OPEN, State.WORKING)),
        )
        .values(attempt=after + 1)
    )
    if raised.rowcount != 1:
        return False
    _end_attempts(tx, number, "given_up")
    incident = get(tx, number)
    tx.conn.execute(
        insert(attempts).values(incident=number, attempt=after + 1, state="open", raised_at=tx.now, reason=reason)
    )
    consumed = set(
        tx.conn.execute(
            select(acts.c.rung).where(
                acts.c.incident == number, (acts.c.result.is_(None)) | (acts.c.result != "not_sent")
            )
        ).scalars()
    )
    for rung in range(1, rungs + 1):
        if rung not in consumed:
            tx.conn.execute(
                insert(grants).values(
                    incident=number, attempt=after + 1, rung=rung, target=incident.target, state="open"
                )
            )
    outbox.put(tx, incident=number, attempt=after + 1)
    append(
        tx,
        actor=actor,
        phase="decision",
        what="attempt.raised",
        incident=number,
        target=incident.target,
        reason=reason,
        data={"attempt": after + 1},
    )
    return True


def _end_attempts(tx: Tx, number: int, state: str) -> None:
    tx.conn.execute(
        update(attempts)
        .where(attempts.c.incident == number, attempts.c.state == "open")
        .values(state=state, ended_at=tx.now)
    )
    tx.conn.execute(update(grants).where(grants.c.incident == number, grants.c.state == "open").values(state="revoked"))
    approvals.void(tx, number)
    outbox.withdraw(tx, number)


def begin_attempt(tx: Tx, number: int, attempt: int, *, flow_run: str) -> str | None:
    """Start working, or the reason in words why this run may not. The same run may begin again; another may not."""
    incident = get(tx, number)
    known = attempt_of(tx, number, attempt)
    if known is None:
        return f"{incident.id} has no attempt {attempt}"
    if known.state != "open":
        return f"attempt {attempt} at {incident.id} is over ({known.state}); a run is no permission to act again"
    if incident.attempt != attempt:
        return f"attempt {incident.attempt} has {incident.id}, not attempt {attempt}"
    if incident.state not in (State.OPEN, State.WORKING):
        return f"{incident.id} is {incident.state}: it is not automation's to work on"
    if known.began_at is not None and known.flow_run != flow_run:
        return f"flow run {known.flow_run} already works on attempt {attempt} at {incident.id}"
    first = known.began_at is None
    tx.conn.execute(
        update(attempts)
        .where(attempts.c.incident == number, attempts.c.attempt == attempt)
        .values(flow_run=flow_run, began_at=known.began_at or tx.now)
    )
    _set_state(tx, incident, State.WORKING)
    append(
        tx,
        actor=f"run:{flow_run}",
        phase="decision",
        what="attempt.began" if first else "attempt.began_again",
        incident=number,
        target=incident.target,
        reason=f"attempt {attempt} works on it",
        data={"attempt": attempt, "flow_run": flow_run},
    )
    return None


def dispatched(tx: Tx, number: int, attempt: int, *, flow_run: str) -> None:
    """Prefect has the run. Written once; a run that began before the answer came is kept as it is."""
    tx.conn.execute(
        update(attempts)
        .where(attempts.c.incident == number, attempts.c.attempt == attempt)
        .values(dispatched_at=tx.now, flow_run=func.coalesce(attempts.c.flow_run, flow_run))
    )
    append(
        tx,
        actor="dispatch",
        phase="outcome",
        what="run.created",
        incident=number,
        reason=f"Prefect has the run of attempt {attempt}",
        data={"attempt": attempt, "flow_run": flow_run},
    )


# --- endings --------------------------------------------------------------------------------------------------------


def resolve(tx: Tx, number: int, outcome: Outcome, *, actor: str, data: Mapping[str, Any] | None = None) -> Incident:
    """End it well: verified by a playbook, or by the word of a named human. Raises IllegalMove.

    A human's word also decides an act whose outcome was open.
    """
    incident = get(tx, number)
    _end_attempts(tx, number, "closed")
    messages.withdraw(tx, number)
    tx.conn.execute(
        update(acts)
        .where(acts.c.incident == number, acts.c.result.is_(None))
        .values(result="decided", why=f"decided by {actor}", closed_at=tx.now)
    )
    _set_state(tx, incident, State.RESOLVED, ending=outcome.ending, because=outcome.because, ended_at=tx.now)
    append(
        tx,
        actor=actor,
        phase="outcome",
        what=f"incident.{outcome.ending}",
        incident=number,
        target=incident.target,
        reason=outcome.because,
        data=data,
    )
    by_a_person = outcome.ending in (Ending.HANDED_OVER, Ending.REFUSED)  # what a playbook ends well is named so
    _give_notice(tx, number, "resolved" if by_a_person else outcome.ending)
    if not by_a_person:
        _ask_again(tx, incident)
    return get(tx, number)


def _ask_again(tx: Tx, incident: Incident) -> None:
    """What joined while a playbook worked, and another runbook wants, gets its own decision if it still fires.

    It waits for that runbook's settle time, as whatever began before a verified cure. A person's end covers all of it.
    """
    for alert in alerts.firing_for_others(tx, incident):
        inbox.put(tx, [alert], source=alert.source, sender=f"paramedic: {incident.id} ended")


def _give_notice(tx: Tx, number: int, happened: str) -> None:
    """Tell the channels that the incident's runbook named."""
    row = tx.conn.execute(select(incidents.c.policy, incidents.c.notify).where(incidents.c.number == number)).one()
    for way in row.notify or ():
        messages.queue_notice(tx, incident=number, policy=row.policy, way=way, happened=happened.replace("_", " "))


def hand_over(tx: Tx, number: int, outcome: Outcome, *, actor: str) -> Incident:
    """Give it to a person: grants revoked first, then the first rung is due now. Idempotent once handed over.

    Raises IllegalMove where a person already has it or it has ended.
    """
    incident = get(tx, number)
    if incident.state is State.HANDED_OVER:
        return incident
    if incident.state is State.ACKNOWLEDGED:
        raise IllegalMove(f"{incident.id} is acknowledged: it is {incident.acknowledged_by}'s, whatever a run says")
    _end_attempts(tx, number, "closed")
    _set_state(tx, incident, State.HANDED_OVER, ending=outcome.ending, because=outcome.because)
    append(
        tx,
        actor=actor,
        phase="outcome",
        what=f"incident.{outcome.ending}",
        incident=number,
        target=incident.target,
        reason=outcome.because,
    )
    climb(tx, incident)
    _give_notice(tx, number, outcome.ending)
    return get(tx, number)


def acknowledge(tx: Tx, number: int, *, by: str, reason: str) -> Incident:
    """A named human has it: no further change is made, no further rung is climbed. Idempotent for the same person.

    Raises IllegalMove if it has ended.
    """
    incident = get(tx, number)
    if incident.state is State.ACKNOWLEDGED and incident.acknowledged_by == by:
        return incident
    move(incident.state, State.ACKNOWLEDGED)
    _end_attempts(tx, number, "closed")
    messages.withdraw(tx, number)
    ending = incident.ending or Ending.HANDED_OVER
    _set_state(tx, incident, State.ACKNOWLEDGED, **_taken(tx, incident, by), ending=ending)
    append(
        tx,
        actor=f"person:{by}",
        phase="decision",
        what="incident.acknowledged",
        incident=number,
        target=incident.target,
        reason=reason,
    )
    return get(tx, number)


def _taken(tx: Tx, incident: Incident, by: str) -> dict[str, Any]:
    return {"acknowledged_by": by, "acknowledged_at": tx.now, "acknowledged_severity": incident.severity}


def end_acknowledgement(tx: Tx, number: int, *, after: timedelta) -> bool:
    """An acknowledgement that is older than `after` stops the climbing no longer. False: it is not, or not any more.

    Who acknowledged is told first, then the climbing goes on from where it was. Automation does not act on it again.
    """
    incident = get(tx, number)
    since = incident.acknowledged_at
    if incident.state is not State.ACKNOWLEDGED or since is None or tx.now - since < after:
        return False
    who = incident.acknowledged_by or "nobody"
    _set_state(tx, incident, State.HANDED_OVER)
    messages.queue_rung(
        tx,
        incident=number,
        policy=incident.policy,
        severity=incident.severity,
        rung=-1 if (last := messages.climbed(tx, number, incident.severity)) is None else last,
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


def acknowledged(tx: Tx) -> list[Incident]:
    """Every incident that a person has."""
    query = select(incidents).where(incidents.c.state == State.ACKNOWLEDGED).order_by(incidents.c.acknowledged_at)
    return [_incident(tx, row) for row in tx.conn.execute(query)]


def tell_timeline(tx: Tx, number: int, *, actor: str, what: str, reason: str) -> None:
    """One more line of the incident's timeline: something was seen, and nothing moved."""
    append(
        tx,
        actor=actor,
        phase="outcome",
        what=what,
        incident=number,
        target=get(tx, number).target,
        reason=reason,
    )


def note(tx: Tx, number: int, *, by: str, text: str) -> None:
    """A person's words on the timeline: erasable content, told by its digest."""
    incident = get(tx, number)
    append(
        tx,
        actor=f"person:{by}",
        phase="decision",
        what="incident.note",
        incident=number,
        target=incident.target,
        reason="a person's note",
        content={"note": text},
    )


def _set_state(tx: Tx, incident: Incident, state: State, **values: Any) -> None:
    move(incident.state, state)
    changed = tx.conn.execute(
        update(incidents)
        .where(incidents.c.number == incident.number, incidents.c.state == incident.state)
        .values(state=state, **values)
    )
    if changed.rowcount != 1:
        raise IllegalMove(f"{incident.id} was moved by somebody else meanwhile")


# --- evidence -------------------------------------------------------------------------------------------------------


def add_evidence(tx: Tx, number: int, attempt: int, *, kind: str, taken_at: datetime, body: str) -> None:
    """Keep what was seen, secrets taken out."""
    tx.conn.execute(insert(evidence).values(incident=number, attempt=attempt, kind=kind, taken_at=taken_at, body=body))


def evidence_of(tx: Tx, number: int) -> list[dict[str, Any]]:
    """All that was seen, oldest first: kind, taken_at, attempt, body."""
    query = select(evidence).where(evidence.c.incident == number).order_by(evidence.c.id)
    return [dict(row._mapping) for row in tx.conn.execute(query)]  # noqa: SLF001


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
    )


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(**{field: getattr(row, field) for field in Attempt.__slots__})
