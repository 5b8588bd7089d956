"""Deliveries: which messages are due, worst first, who holds them for sending, and their outcomes."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, func, or_, select, text, update

from paramedic.alerts.alert import Severity
from paramedic.incidents.tier import Tier
from paramedic.store import Tx
from paramedic.store.messages import QueuedMessage, queued_message
from paramedic.store.tables import messages
from paramedic.store.urgency_order import MESSAGES_BY_TIER

#: How long a sender may hold a message before another may send it.
HOLD = timedelta(seconds=30)

#: How many messages a person gets is counted over this time.
PER = timedelta(minutes=1)

#: The advisory lock under which senders count what a person got on PostgreSQL; SQLite has one writer at a time.
_COUNT_LOCK = 0x7061_6765_7263_6F75  # "pagercou"

_CRITICAL = and_(messages.c.kind.in_(("rung", "approval", "update")), messages.c.severity == Severity.CRITICAL)
_RANKS = {"trouble": 1, "news": 3, "notice": 4}


def rank(message: QueuedMessage) -> tuple[int, int]:
    """The order of due messages: critical, then alerts about Paramedic itself, other incidents, resolutions, channel updates.

    Among each kind those of core services come first.
    """
    tier = list(Tier).index(message.tier)
    if message.kind in ("rung", "approval", "update") and message.severity is Severity.CRITICAL:
        return 0, tier
    return _RANKS.get(message.kind, 2), tier


_ORDER = (
    case((_CRITICAL, 0), *((messages.c.kind == kind, number) for kind, number in _RANKS.items()), else_=2),
    MESSAGES_BY_TIER,
)


def due(tx: Tx, *, incident: int | None = None, limit: int = 50) -> list[QueuedMessage]:
    """The messages due now, worst first; of one incident (without channel updates), or of all."""
    query = select(messages).where(sendable(tx)).order_by(*_ORDER, messages.c.due_at, messages.c.id).limit(limit)
    if incident is not None:
        query = query.where(messages.c.incident == incident, messages.c.kind != "notice")
    return [queued_message(row) for row in tx.conn.execute(query)]


def sent_lately(tx: Tx) -> dict[str, int]:
    """How many messages each person got within PER, including those being sent; a digest counts as one."""
    return _sent_counts(tx)


def _sent_counts(tx: Tx, *, person: str | None = None) -> dict[str, int]:
    lately = or_(
        messages.c.sent_at
        > tx.now - PER,  # what has one is sent; naming the state as well would look at all that ever were
        and_(messages.c.state == "sending", messages.c.sending_until > tx.now),
    )
    counted = func.count(func.coalesce(messages.c.digest, messages.c.id).distinct())
    query = select(messages.c.person, counted).where(lately, messages.c.person.is_not(None)).group_by(messages.c.person)
    if person is not None:
        query = query.where(messages.c.person == person)
    return {row[0]: row[1] for row in tx.conn.execute(query)}


def take(tx: Tx, message: int) -> bool:
    """Hold the message for sending, for HOLD. False: another process holds it, or it is no longer due."""
    return bool(_hold(tx, [message], {}, person=None, digest=None))


def take_for(tx: Tx, wanted: Collection[int], person: str, *, held: Mapping[int, int], at_most: int) -> list[int]:
    """Hold these for sending to this person as one message, for HOLD; returns those that were held.

    None where the person got `at_most` messages within PER, counted over all senders in this transaction.
    `held` are those that the caller holds already, each with the try that took it: they move to this person.
    """
    if tx.conn.dialect.name == "postgresql":
        tx.conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _COUNT_LOCK})
    if _sent_counts(tx, person=person).get(person, 0) >= at_most:
        return []
    return _hold(tx, wanted, held, person=person, digest=min(wanted) if len(wanted) > 1 else None)


def _hold(
    tx: Tx, wanted: Collection[int], held: Mapping[int, int], *, person: str | None, digest: int | None
) -> list[int]:
    until = {"sending_until": tx.now + HOLD, "person": person, "digest": digest}
    had = []
    for message in wanted:
        change = update(messages).where(messages.c.id == message)
        if message in held:
            mine = and_(messages.c.state == "sending", messages.c.tries == held[message])
            change = change.where(mine).values(until)
        else:
            change = change.where(sendable(tx)).values(until | {"state": "sending", "tries": messages.c.tries + 1})
        if tx.conn.execute(change).rowcount == 1:
            had.append(message)
    return had


def renew_hold(tx: Tx, message: int, *, taken: int) -> bool:
    """Renew the hold for another HOLD. False: it is not due any more, or held elsewhere; `taken` is the try that took it."""
    changed = tx.conn.execute(
        update(messages)
        .where(messages.c.id == message, messages.c.state == "sending", messages.c.tries == taken)
        .values(sending_until=tx.now + HOLD)
    )
    return changed.rowcount == 1


def sent(tx: Tx, message: int, *, person: str) -> bool:
    """Record the message as sent. False if that was recorded already."""
    changed = tx.conn.execute(
        update(messages)
        .where(messages.c.id == message, messages.c.state != "sent")
        .values(state="sent", person=person, sent_at=tx.now)
    )
    return changed.rowcount == 1


def put_off(tx: Tx, message: int, *, error: str, until: datetime) -> None:
    """Record a failed try; the message is tried again later."""
    tx.conn.execute(
        update(messages)
        .where(messages.c.id == message, messages.c.state == "sending")
        .values(state="due", due_at=until, last_error=error, person=None, digest=None)
    )


def unreachable(tx: Tx, message: int, *, error: str) -> None:
    """Record the message as undeliverable; the next step goes to somebody else. A sent or withdrawn message stays so."""
    tx.conn.execute(
        update(messages)
        .where(messages.c.id == message, messages.c.state.in_(("due", "sending")))
        .values(state="unreachable", last_error=error, person=None, digest=None)
    )


def sendable(tx: Tx) -> ColumnElement[bool]:
    """The messages that could be sent now: due, or held by a process that has not said for HOLD what became of them."""
    return or_(
        and_(messages.c.state == "due", messages.c.due_at <= tx.now),
        and_(messages.c.state == "sending", messages.c.sending_until <= tx.now),
    )
