"""The inbox: an alert is here, on disk, before its sender hears 202 (P1)."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update

from paramedic.alert import Alert
from paramedic.secret import redact, redacted
from paramedic.store import Store, Tx
from paramedic.store.messages import queue_trouble
from paramedic.store.tables import inbox, quarantine

#: A kept body is cut to this many characters.
BODY_LIMIT = 65_536


@dataclass(frozen=True, slots=True)
class Receipt:
    """An alert that waits for its decision, as the row holds it."""

    position: int
    id: str
    received_at: datetime
    said: Mapping[str, Any]

    @property
    def alert(self) -> Alert:
        """The alert. Raises KeyError or ValueError where the row cannot be read: that row's fault, and no other's."""
        return Alert.from_json(self.said)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A body, or the part of one, that could not be read, and why: `error` names the field."""

    body: str
    error: str


def receive(
    store: Store, alerts: Sequence[Alert], *, source: str, sender: str, bad: Sequence[Unreadable] = (), keep: int = 1000
) -> list[str]:
    """Write the alerts, and what could not be read, in one durable commit; the receipt ids, in the alerts' order.

    Raises StoreUnavailable, and then they are to be sent again. A person is told of what could not be read; the quarantine
    keeps the newest `keep` bodies.
    """
    with store.write() as tx:
        receipts = put(tx, alerts, source=source, sender=sender)
        for one in bad:
            _keep(tx, one, source=source, sender=sender, keep=keep)
    return receipts


def put(tx: Tx, alerts: Sequence[Alert], *, source: str, sender: str) -> list[str]:
    """Write the alerts in a transaction that does more than that; the receipt ids, in the alerts' order."""
    receipts = [str(uuid.uuid4()) for _ in alerts]
    rows = [
        {
            "receipt": receipt,
            "source": source,
            "sender": sender,
            "received_at": tx.now,
            "alert": _clean(alert),
            "state": "new",
        }
        for receipt, alert in zip(receipts, alerts, strict=True)
    ]
    if rows:
        tx.conn.execute(insert(inbox), rows)
    return receipts


def _keep(tx: Tx, one: Unreadable, *, source: str, sender: str, keep: int) -> None:
    known = str(uuid.uuid4())
    tx.conn.execute(
        insert(quarantine).values(
            id=known,
            source=source,
            sender=sender,
            received_at=tx.now,
            error=one.error,
            body=redact(one.body)[:BODY_LIMIT],
        )
    )
    kept = select(quarantine.c.id).order_by(quarantine.c.received_at.desc(), quarantine.c.id).limit(keep)
    tx.conn.execute(delete(quarantine).where(quarantine.c.id.not_in(kept)))
    queue_trouble(
        tx,
        subject=f"An alert from {source} could not be read",
        body=f"{one.error}\n\nIt was sent by {sender} and is kept as {known}. It opened no incident: look at it.",
        same_within_minutes=10,
    )


def _clean(alert: Alert) -> dict[str, Any]:
    """The alert as JSON, secrets taken out of what its sender wrote; our own words in it (severity, status) stay."""
    said = alert.as_json()
    return said | {key: redacted(said[key]) for key in ("name", "labels", "annotations", "value", "notes")}


def waiting(tx: Tx, limit: int = 100) -> list[Receipt]:
    """What has no decision yet, in the order of arrival, and what was held back until now."""
    query = select(inbox).where(_waits(tx)).order_by(inbox.c.position).limit(limit)
    return [Receipt(row.position, row.receipt, row.received_at, row.alert) for row in tx.conn.execute(query)]


def still_waits(tx: Tx, receipt: Receipt) -> bool:
    """Whether no other process was faster. To be asked in the transaction that decides."""
    query = select(inbox.c.position).where(inbox.c.position == receipt.position, _waits(tx))
    return tx.conn.execute(query).one_or_none() is not None


def _waits(tx: Tx) -> ColumnElement[bool]:
    return or_(inbox.c.state == "new", and_(inbox.c.state == "held", inbox.c.look_again_at <= tx.now))


def decided(
    tx: Tx, receipt: Receipt, *, verdict: str, reason: str, incident: int | None, look_again_at: datetime | None
) -> None:
    """Write the decision beside the receipt; a held one is looked at again at `look_again_at`."""
    tx.conn.execute(
        update(inbox)
        .where(inbox.c.position == receipt.position)
        .values(
            state="held" if look_again_at else "triaged",
            look_again_at=look_again_at,
            verdict=verdict,
            reason=reason,
            incident=incident,
            triaged_at=tx.now,
        )
    )


def look_again(tx: Tx) -> None:
    """What is held is looked at now: the reason for a hold ended early. What must wait on is held again."""
    tx.conn.execute(update(inbox).where(inbox.c.state == "held").values(look_again_at=tx.now))


def depth(tx: Tx) -> tuple[int, datetime | None]:
    """How many alerts wait for their first decision, and since when the oldest does."""
    row = tx.conn.execute(
        select(func.count(), func.min(inbox.c.received_at)).where(inbox.c.state == "new").select_from(inbox)
    ).one()
    oldest: datetime | None = row[1]
    return row[0], oldest
