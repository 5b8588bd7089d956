"""Approvals: questions to a person before a change. The answer is one compare-and-set, on the trail with the person's name."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, insert, select, true, update

from paramedic.alerts.alert import Severity
from paramedic.machine.clock import iso
from paramedic.remediation.approval import FORM, Answer, Approval, describe_instance
from paramedic.remediation.target import Identity
from paramedic.store import Tx, messages, trail
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import approvals, incidents
from paramedic.store.trail import append
from paramedic.store.urgency_order import BY_URGENCY


def ask(
    tx: Tx,
    *,
    incident: int,
    attempt: int,
    rung: int,
    target: str,
    remedy: str,
    identity: Identity,
    within: timedelta,
    flow_run: str,
    policy: str,
    severity: Severity,
    touches: str = "",
    about: Sequence[Mapping[str, str]] = (),
) -> Approval:
    """Ask, and queue the question to whoever is on call. Asked once for a rung of an attempt; later calls change nothing.

    `touches`: what the change would touch, for the person; `about`: what of it alerts say, and is approved with it. On
    the trail both stand where they can be erased.
    """
    known = of(tx, incident, attempt, rung, target)
    if known is not None:
        return known
    number: int = tx.conn.execute(
        insert(approvals)
        .values(
            incident=incident,
            attempt=attempt,
            rung=rung,
            target=target,
            remedy=remedy,
            identity=identity.as_json(),
            asked_at=tx.now,
            expires_at=tx.now + within,
            state=Answer.ASKED,
            flow_run=flow_run,
            wrong_codes=0,
            touches=touches or None,
            about=[dict(one) for one in about] or None,
        )
        .returning(approvals.c.id)
    ).scalar_one()
    asked, content = get(tx, number), {"touches": touches} if touches else None
    reason = f"{asked.what} needs a person's approval until {iso(asked.expires_at)}"
    _append_to_trail(tx, asked, actor=f"run:{flow_run}", reason=reason, content=content)
    messages.queue_approval(tx, incident=incident, policy=policy, severity=severity)
    return asked


def decide(tx: Tx, approval: int, *, granted: bool, by: str, how: str) -> Approval | str:
    """Record a person's answer; returns in words why it comes too late. Idempotent for the same answer of the same person.

    `how` is FORM, `link` or `command line`; an answer through Prefect has resumed the run already, and is on the trail as
    the form's, with the name typed in it.
    """
    answer = Answer.GRANTED if granted else Answer.DENIED
    changed = tx.conn.execute(
        update(approvals)
        .where(approvals.c.id == approval, approvals.c.state == Answer.ASKED, approvals.c.expires_at > tx.now)
        .values(
            state=answer,
            decided_by=by,
            decided_at=tx.now,
            how=how,
            resumed_at=tx.now if how == FORM else None,
            resume_at=None if how == FORM else tx.now,
        )
    )
    now = get(tx, approval)
    if changed.rowcount == 1:
        _append_to_trail(
            tx, now, actor=_FORM_ACTOR if how == FORM else f"person:{by}", reason=f"{now.decision} ({how})"
        )
        return now
    if (now.state, now.decided_by) == (answer, by):
        return now
    return f"too late: {now.nobody if now.state is Answer.ASKED else now.decision}"


def refuse_form(tx: Tx, approval: Approval, *, by: str, question: int, because: str) -> None:
    """Record an approval by a form that proves nothing: the question stays open. `question` counts how often it was shown.

    Idempotent: a restarted run meets its earlier answers again.
    """
    data = {"approval": approval.id, "question": question}
    if any((entry.what, entry.data) == (_REFUSED, data) for entry in trail.entries(tx, incident=approval.incident)):
        return
    append(
        tx,
        actor=_FORM_ACTOR,
        phase="decision",
        what=_REFUSED,
        incident=approval.incident,
        target=approval.target,
        reason=f"the form's approval, by somebody who said to be {by}, does not count: {because}; it is asked again",
        data=data,
    )


_FORM_ACTOR = "prefect-form"
_REFUSED = "approval.form_refused"


def wrong_code(tx: Tx, approval: Approval, *, person: str) -> None:
    """Count a wrong code on this person's link."""
    tx.conn.execute(
        update(approvals).where(approvals.c.id == approval.id).values(wrong_codes=approvals.c.wrong_codes + 1)
    )
    append(
        tx,
        actor="gateway",
        phase="decision",
        what="approval.wrong_code",
        incident=approval.incident,
        target=approval.target,
        reason=f"the link of {person} was used with a wrong code",
        data={"approval": approval.id},
    )


def expire(tx: Tx, approval: int, *, actor: str, how: str | None = None) -> Approval | None:
    """Expire the question: no answer counts any more, and its message is withdrawn. None: it is answered already."""
    changed = tx.conn.execute(
        update(approvals)
        .where(approvals.c.id == approval, approvals.c.state == Answer.ASKED)
        .values(state=Answer.EXPIRED, decided_at=tx.now, how=how, resume_at=tx.now)
    )
    if changed.rowcount != 1:
        return None
    now = get(tx, approval)
    messages.withdraw(tx, now.incident, kind="approval")
    _append_to_trail(tx, now, actor=actor, reason=now.decision)
    return now


def void(tx: Tx, incident: int) -> None:
    """Void the incident's question: a person has it, it is over, or another attempt asks again."""
    asked_now = asked(tx, incident)
    if asked_now is not None:
        expire(tx, asked_now.id, actor="approvals")


def get(tx: Tx, approval: int) -> Approval:
    """The approval with this number."""
    return _approval(tx.conn.execute(select(approvals).where(approvals.c.id == approval)).one())


def find(tx: Tx, approval: int) -> Approval | None:
    """The approval with this number, if this store has one."""
    row = tx.conn.execute(select(approvals).where(approvals.c.id == approval)).one_or_none()
    return None if row is None else _approval(row)


def of(tx: Tx, incident: int, attempt: int, rung: int, target: str) -> Approval | None:
    """The approval for this rung of this attempt at this target."""
    mine = (approvals.c.incident == incident) & (approvals.c.attempt == attempt) & (approvals.c.rung == rung)
    row = tx.conn.execute(select(approvals).where(mine, approvals.c.target == target)).one_or_none()
    return None if row is None else _approval(row)


def newest(tx: Tx, incident: int) -> Approval | None:
    """The newest approval of this incident."""
    query = select(approvals).where(approvals.c.incident == incident).order_by(approvals.c.id.desc()).limit(1)
    row = tx.conn.execute(query).one_or_none()
    return None if row is None else _approval(row)


def asked(tx: Tx, incident: int) -> Approval | None:
    """The incident's open question. A run asks one question at a time, and earlier attempts have none left."""
    last = newest(tx, incident)
    return last if last is not None and last.state is Answer.ASKED else None


def listed(tx: Tx, incident: int) -> list[Approval]:
    """Every approval of the incident, oldest first."""
    query = select(approvals).where(approvals.c.incident == incident).order_by(approvals.c.id)
    return _all(tx.conn.execute(query).all())


def overdue(tx: Tx) -> list[Approval]:
    """Open questions past their time."""
    query = select(approvals).where(approvals.c.state == Answer.ASKED, approvals.c.expires_at <= tx.now)
    return _all(tx.conn.execute(query.order_by(approvals.c.id)).all())


def to_resume(tx: Tx, limit: int = 20) -> list[Approval]:
    """Settled approvals whose suspended run is due to be resumed: of the most urgent incidents first."""
    query = (
        select(approvals)
        .join(incidents, incidents.c.number == approvals.c.incident)
        .where(approvals.c.resume_at <= tx.now)
        .order_by(*BY_URGENCY, approvals.c.resume_at)
        .limit(limit)
    )
    return _all(tx.conn.execute(query).all())


def resumed(tx: Tx, approval: int) -> None:
    """Record that its run was resumed, or that there is nothing left to resume."""
    tx.conn.execute(
        update(approvals)
        .where(approvals.c.id == approval, approvals.c.resumed_at.is_(None))
        .values(resumed_at=tx.now, resume_at=None)
    )


def resume_later(tx: Tx, approval: int, *, until: datetime) -> None:
    """Resume it later: Prefect did not answer, or the run is not suspended yet."""
    tx.conn.execute(
        update(approvals).where(approvals.c.id == approval, approvals.c.resumed_at.is_(None)).values(resume_at=until)
    )


def _append_to_trail(
    tx: Tx, approval: Approval, *, actor: str, reason: str, content: Mapping[str, Any] | None = None
) -> None:
    append(
        tx,
        actor=actor,
        phase="decision",
        what=f"approval.{approval.state}",
        incident=approval.incident,
        target=approval.target,
        reason=reason,
        data={
            "approval": approval.id,
            "attempt": approval.attempt,
            "rung": approval.rung,
            "remedy": approval.remedy,
            "life": describe_instance(approval.identity),
            "expires": iso(approval.expires_at),
        },
        content=content,
    )


def _all(rows: Sequence[Row[Any]]) -> list[Approval]:
    return [_approval(row) for row in rows]


def _approval(row: Row[Any]) -> Approval:
    values = {field: getattr(row, field) for field in Approval.__slots__}
    read = {"state": Answer(row.state), "identity": Identity.from_json(row.identity)}
    return Approval(**values | read | {"touches": row.touches or "", "about": tuple(row.about or ())})


FACTS = (
    TableFacts(
        table=approvals,
        restore=Unchanged("what was asked is void with the handing over of its incident"),
        retention=Unchanged("kept with their incident"),
        times=(
            (approvals.c.asked_at, approvals.c.state == "asked"),
            (approvals.c.expires_at, approvals.c.state == "asked"),
            (approvals.c.resume_at, true()),
        ),
    ),
)
