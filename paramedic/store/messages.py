"""The queue of messages to people: pages of an escalation, updates, resolutions, alerts about Paramedic itself."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, ScalarSelect, and_, bindparam, func, insert, or_, select, update

from paramedic.alerts.alert import Severity
from paramedic.incidents.incident import Incident, State
from paramedic.incidents.tier import Tier
from paramedic.machine.clock import iso
from paramedic.store import Tx
from paramedic.store.table_facts import Cutoffs, TableFacts, Unchanged
from paramedic.store.tables import incidents, messages

#: Updates to the holder of an incident when the last of its alerts ended, and when one fires again.
ENDED = "none of its alerts fires any more"
AGAIN = "it fires again"

#: The body of a page that begins an escalation, until its step's own time to wait has been added to its due time.
_BEGINS = "the escalation begins"


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """One message to one person, queued or sent."""

    id: int
    kind: str
    incident: int | None
    policy: str
    step: int  # of the policy, counted from 0; the column keeps its name
    subject: str
    body: str
    due_at: datetime
    state: str
    tries: int
    person: str | None
    sent_at: datetime | None
    last_error: str | None
    severity: Severity
    recipient: str | None
    tier: Tier = Tier.STANDARD  # of its incident's service

    @property
    def begins(self) -> bool:
        """Whether it is the first page of an escalation, whose step's own time to wait does not count yet."""
        return self.kind == "rung" and self.body == _BEGINS


def begin_escalation(tx: Tx, *, incident: int, policy: str, severity: Severity) -> None:
    """Queue the page of the policy's first step. It is due now; whoever delivers knows how long that step waits (`wait`)."""
    _queue(tx, "rung", incident, policy, severity=severity, body=_BEGINS)


def wait(tx: Tx, message: int, *, until: datetime) -> None:
    """Make the first page of an escalation due at this moment, as its step says; once."""
    begins = (messages.c.id == message, messages.c.state == "due", messages.c.body == _BEGINS)
    tx.conn.execute(update(messages).where(*begins).values(due_at=until, body=""))


def queue_page(
    tx: Tx,
    *,
    incident: int,
    policy: str,
    severity: Severity,
    step: int,
    due_at: datetime,
    recipient: str | None = None,
) -> None:
    """Queue a page to the step's person at `due_at`, withdrawn on an acknowledgement; `recipient` replaces the step's person."""
    _queue(tx, "rung", incident, policy, severity=severity, step=step, due_at=due_at, recipient=recipient)


def queue_resolution(tx: Tx, *, incident: int, policy: str) -> None:
    """Queue a message to whoever is on call on how the incident ended."""
    _queue(tx, "news", incident, policy)


def queue_update(
    tx: Tx,
    *,
    incident: int,
    policy: str,
    severity: Severity,
    subject: str,
    body: str,
    recipient: str | None,
) -> None:
    """Queue an update on an incident that goes on to `recipient` (a person's id; None: whoever is on call).

    `severity` is the incident's after the change. The same subject to the same recipient is queued once while it waits.
    """
    waiting = select(messages.c.id).where(
        messages.c.incident == incident,
        messages.c.kind == "update",
        messages.c.subject == subject,
        messages.c.recipient.is_(None) if recipient is None else messages.c.recipient == recipient,
        messages.c.state == "due",
    )
    if tx.conn.execute(waiting.limit(1)).one_or_none() is None:
        _queue(tx, "update", incident, policy, severity=severity, recipient=recipient, subject=subject, body=body)


def update_holder(tx: Tx, incident: Incident, holder: str | None, *, subject: str, body: str) -> None:
    """Queue an update to the person who has, or had, the incident (None: whoever is on call), by its severity of now."""
    queue_update(
        tx,
        incident=incident.number,
        policy=incident.policy,
        severity=incident.severity,
        subject=subject,
        body=body,
        recipient=holder,
    )


def queue_approval(
    tx: Tx,
    *,
    incident: int,
    policy: str,
    severity: Severity,
    recipient: str | None = None,
    due_at: datetime | None = None,
) -> None:
    """Queue the question for the approval that the incident waits for, to `recipient`, else to the policy's first person.

    It is due at `due_at`, else at once.
    """
    _queue(tx, "approval", incident, policy, severity=severity, due_at=due_at, recipient=recipient)


def queue_channel_update(tx: Tx, *, incident: int, policy: str, channel: str, happened: str) -> None:
    """Queue an update to a channel that an incident opened, was handed over, or ended. Sent after every page."""
    _queue(tx, "notice", incident, policy, recipient=channel, subject=happened)


def queue_internal_alert(tx: Tx, *, subject: str, body: str, same_within_minutes: int, times: int = 1) -> None:
    """Queue an alert about Paramedic itself: at once, then once per `same_within_minutes` with the count since.

    `times` is the number of new cases. 0 is for repeated looks at one lasting condition: it is reported once
    per period, and the looks are not counted.
    """
    window = timedelta(minutes=same_within_minutes)
    same = (messages.c.kind == "trouble", messages.c.subject == subject, messages.c.due_at > tx.now - window)
    known = tx.conn.execute(select(messages).where(*same).order_by(messages.c.due_at.desc()).limit(1)).one_or_none()
    if known is None:
        more = f"\n\nThere are {times - 1} more of the same." if times > 1 else ""
        _queue_internal_alert(tx, subject, f"{body}{more}", due_at=tx.now)
    elif times and known.repeats and known.state == "due":
        count = known.repeats + times
        tx.conn.execute(
            update(messages)
            .where(messages.c.id == known.id)
            .values(repeats=count, body=_counted(body, count, known.due_at - window))
        )
    elif times:
        _queue_internal_alert(
            tx, subject, _counted(body, times, known.due_at), due_at=known.due_at + window, repeats=times
        )


def _queue_internal_alert(tx: Tx, subject: str, body: str, *, due_at: datetime, repeats: int = 0) -> None:
    _queue(tx, "trouble", None, "default", subject=subject, body=body, due_at=due_at, repeats=repeats)


def _counted(body: str, count: int, since: datetime) -> str:
    return f"{body}\n\nThis is one of {count} since {iso(since)}."


def _queue(
    tx: Tx,
    kind: str,
    incident: int | None,
    policy: str,
    *,
    step: int = 0,
    due_at: datetime | None = None,
    severity: Severity = Severity.CRITICAL,
    recipient: str | None = None,
    subject: str = "",
    body: str = "",
    repeats: int = 0,
) -> None:
    tx.conn.execute(
        insert(messages).values(
            kind=kind,
            incident=incident,
            policy=policy,
            rung=step,
            subject=subject,
            body=body,
            repeats=repeats,
            due_at=due_at or tx.now,
            state="due",
            tries=0,
            severity=severity,
            recipient=recipient,
            tier=_tier_of(incident),
        )
    )


def _tier_of(incident: int | None) -> ScalarSelect[Any] | None:
    """The tier of the incident's service, read where the message is written."""
    if incident is None:
        return None
    return select(incidents.c.tier).where(incidents.c.number == incident).scalar_subquery()


def of(tx: Tx, incident: int) -> list[QueuedMessage]:
    """Every message of the incident, oldest first."""
    query = select(messages).where(messages.c.incident == incident).order_by(messages.c.id)
    return [queued_message(row) for row in tx.conn.execute(query)]


def paged(tx: Tx, incident: int) -> list[str]:
    """The people paged about the incident, each once."""
    query = (
        select(messages.c.person)
        .where(
            messages.c.incident == incident,
            messages.c.kind == "rung",
            messages.c.state == "sent",
            messages.c.person.is_not(None),
        )
        .distinct()
        .order_by(messages.c.person)
    )
    return list(tx.conn.execute(query).scalars())


_ANY_STEP = (
    select(messages.c.id)
    .where(messages.c.incident == bindparam("of"), messages.c.kind == "rung", messages.c.state == "sent")
    .limit(1)
)


def any_step_paged(tx: Tx, incident: int) -> bool:
    """Whether any step of an escalation about this incident was paged."""
    return tx.conn.execute(_ANY_STEP, {"of": incident}).first() is not None


def last_step_paged(tx: Tx, incident: int, severity: Severity) -> int | None:
    """The highest step for this severity that was paged; None if none was."""
    query = select(func.max(messages.c.rung)).where(
        messages.c.incident == incident,
        messages.c.kind == "rung",
        messages.c.severity == severity,
        messages.c.state == "sent",
    )
    return tx.conn.execute(query).scalar_one_or_none()


def withdraw(tx: Tx, incident: int, *, kind: str = "rung") -> None:
    """Withdraw the incident's unsent messages of this kind, its pages by default."""
    tx.conn.execute(
        update(messages)
        .where(messages.c.incident == incident, messages.c.kind == kind, messages.c.state.in_(("due", "sending")))
        .values(state="withdrawn")
    )


def withdraw_one(tx: Tx, message: int) -> None:
    """Withdraw one message."""
    tx.conn.execute(
        update(messages)
        .where(messages.c.id == message, messages.c.state.in_(("due", "sending")))
        .values(state="withdrawn", person=None, digest=None)
    )


def withdraw_update(tx: Tx, incident: int, recipient: str | None, *, subject: Collection[str]) -> bool:
    """Withdraw an unsent update with one of these subjects. False: there is none."""
    withdrawn = tx.conn.execute(
        update(messages)
        .where(
            messages.c.incident == incident,
            messages.c.kind == "update",
            messages.c.recipient == recipient,
            messages.c.subject.in_(subject),
            messages.c.state == "due",
        )
        .values(state="withdrawn")
    )
    return withdrawn.rowcount > 0


def queued_message(row: Row[Any]) -> QueuedMessage:
    """The message of the row."""
    columns = {field: getattr(row, field) for field in QueuedMessage.__slots__ if field != "step"}
    tier = Tier(row.tier) if row.tier else Tier.STANDARD
    return QueuedMessage(**columns | {"severity": Severity(row.severity), "step": row.rung, "tier": tier})


def _too_old(cutoffs: Cutoffs) -> ColumnElement[bool]:
    """Settled messages of incidents that ended long ago, or without an incident and due long ago."""
    over = select(incidents.c.number).where(incidents.c.state == State.RESOLVED, incidents.c.ended_at < cutoffs.ended)
    return and_(
        messages.c.state.not_in(("due", "sending")),
        or_(
            and_(messages.c.incident.is_(None), messages.c.due_at < cutoffs.received),
            messages.c.incident.in_(over),
        ),
    )


FACTS = (
    TableFacts(
        table=messages,
        restore=Unchanged(
            "what is queued leaves; where people were being told, the incident begins again with its first step"
        ),
        retention=_too_old,
        times=(
            (messages.c.due_at, messages.c.state == "due"),
            (messages.c.sending_until, messages.c.state == "sending"),
        ),
    ),
)
