"""The inbox: an alert is here, on disk, before its sender hears 202 (P1)."""

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, TextClause, and_, bindparam, func, insert, or_, select, text, update

from paramedic.alerts.alert import Alert, Severity
from paramedic.incidents.incident import State
from paramedic.store import Serialized, Store, Tx, as_dict, quarantine
from paramedic.store.facts import Cutoffs, TableFacts, Unchanged
from paramedic.store.messages import queue_trouble
from paramedic.store.quarantine import BODY_LIMIT, Unreadable
from paramedic.store.tables import inbox, incidents
from paramedic.text.redaction import redact, redact_start, redacted


@dataclass(frozen=True, slots=True)
class Receipt:
    """An alert that waits for its decision, as the row holds it."""

    position: int
    id: str
    received_at: datetime
    said: Mapping[str, Any]
    is_critical: bool = False

    @property
    def alert(self) -> Alert:
        """The alert. Raises KeyError or ValueError where the row cannot be read: that row's fault, and no other's."""
        return Alert.from_json(self.said)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one request brings: redacted and serialized, so that the transaction that writes it does nothing else."""

    source: str
    sender: str
    rows: tuple[Mapping[str, Any], ...]
    bad: tuple[Unreadable, ...]
    keep: int
    first: str | None
    """The name of its first alert."""
    truncated: int = 0
    """How many alerts its sender says it left out."""

    @property
    def receipts(self) -> list[str]:
        """The receipt ids, in the alerts' order."""
        return [row["receipt"] for row in self.rows]

    @property
    def is_critical(self) -> bool:
        """Whether one of its alerts is."""
        return any(row["severity"] == Severity.CRITICAL for row in self.rows)

    @property
    def size(self) -> int:
        """About how many characters it is."""
        return sum(len(row["alert"]) for row in self.rows) + sum(len(one.body) for one in self.bad)


def prepare(
    alerts: Sequence[Alert],
    *,
    source: str,
    sender: str,
    bad: Sequence[Unreadable] = (),
    keep: int = 1000,
    truncated: int = 0,
) -> Delivery:
    """Do the work that needs no transaction. `keep` is how many bodies the quarantine keeps."""
    rows = tuple(
        {
            "receipt": str(uuid.uuid4()),
            "source": source,
            "sender": sender,
            "alert": Serialized(json.dumps(_clean(alert))),
            "state": "new",
            "severity": alert.severity.value,
        }
        for alert in alerts
    )
    kept = tuple(Unreadable(redact_start(one.body, BODY_LIMIT), one.error) for one in bad)
    return Delivery(source, sender, rows, kept, keep, alerts[0].name if alerts else None, truncated)


def write(tx: Tx, deliveries: Sequence[Delivery]) -> None:
    """Write what many requests brought; a person is told, in one message a sender, of what could not be read."""
    rows = [{**row, "received_at": tx.now} for one in deliveries for row in one.rows]
    if rows:
        tx.conn.execute(insert(inbox), rows)
    _tell_truncated(tx, deliveries)
    unread = [one for one in deliveries if one.bad]
    if not unread:
        return
    for (source, sender), group in groupby(sorted(unread, key=_origin), key=_origin):
        quarantine.put(tx, source, sender, [bad for one in group for bad in one.bad])
    quarantine.keep_newest(tx, min(one.keep for one in unread))


def receive(
    store: Store, alerts: Sequence[Alert], *, source: str, sender: str, bad: Sequence[Unreadable] = (), keep: int = 1000
) -> list[str]:
    """Write the alerts, and what could not be read, in one durable commit; the receipt ids, in the alerts' order.

    Raises StoreUnavailable, and then they are to be sent again. A person is told of what could not be read; the quarantine
    keeps the newest `keep` bodies.
    """
    delivery = prepare(alerts, source=source, sender=sender, bad=bad, keep=keep)
    with store.write() as tx:
        write(tx, [delivery])
    return delivery.receipts


def put(tx: Tx, alerts: Sequence[Alert], *, source: str, sender: str) -> list[str]:
    """Write the alerts in a transaction that does more than that; the receipt ids, in the alerts' order."""
    delivery = prepare(alerts, source=source, sender=sender)
    write(tx, [delivery])
    return delivery.receipts


def _tell_truncated(tx: Tx, deliveries: Sequence[Delivery]) -> None:
    """A person is told of alerts that exist and were not sent: nothing else will ever show them."""
    for one in deliveries:
        if one.truncated:
            queue_trouble(
                tx,
                subject=f"{one.sender} left alerts out of what it sent",
                body=f"{one.truncated} alerts of one group were not sent to Paramedic ({one.source}: truncatedAlerts), "
                f"the first of those that came is {redact(one.first or 'none')}. Look at the sender itself; raise or remove "
                "`max_alerts` in its webhook_config.",
                same_within_minutes=10,
            )


def _origin(one: Delivery) -> tuple[str, str]:
    return one.source, one.sender


def _clean(alert: Alert) -> dict[str, Any]:
    """The alert as JSON, secrets taken out of what its sender wrote; our own words in it (severity, status) stay."""
    said = alert.as_json()
    texts = {key: said[key] for key in ("name", "labels", "annotations", "value", "notes")}
    clean: dict[str, Any] = redacted(texts)
    return said | clean


def waiting(tx: Tx, limit: int = 100) -> list[Receipt]:
    """What has no decision yet, and what was held back until now: critical ones first, each kind in order of arrival.

    Alerts with one fingerprint and one severity keep their order. Where the severity changed in between, an earlier word
    may come later, and triage takes it for the earlier one that it is.
    """
    now = or_(inbox.c.state != "held", inbox.c.look_again_at <= tx.now)
    found = _found(tx, _CRITICAL, now, limit=limit)
    if len(found) < limit:
        others = or_(inbox.c.severity.is_(None), inbox.c.severity != Severity.CRITICAL)
        held = and_(_HELD, inbox.c.look_again_at <= tx.now)
        # Two queries, each by its own index: one with `or` would sort the whole backlog for every batch.
        new = _found(tx, inbox.c.state == "new", others, limit=limit)
        rest = [*new, *_found(tx, held, others, limit=limit, first=inbox.c.look_again_at)]
        found += sorted(rest, key=lambda one: one.position)
    return found[:limit]


#: As the partial indexes say it: a bound parameter would hide from SQLite that they fit.
_CRITICAL, _HELD = text("severity = 'critical' AND inbox.state <> 'triaged'"), text("inbox.state = 'held'")


def _found(
    tx: Tx, *where: ColumnElement[bool] | TextClause, limit: int, first: ColumnElement[Any] = inbox.c.position
) -> list[Receipt]:
    query = select(inbox).where(*where).order_by(first, inbox.c.position).limit(limit)
    return [
        Receipt(row.position, row.receipt, row.received_at, row.alert, row.severity == Severity.CRITICAL)
        for row in tx.conn.execute(query)
    ]


def any_waiting(tx: Tx) -> bool:
    """Whether there is anything to decide on now."""
    return tx.conn.execute(select(inbox.c.position).where(_waits(tx)).limit(1)).first() is not None


def still_waits(tx: Tx, receipt: Receipt) -> bool:
    """Whether no other process was faster. To be asked in the transaction that decides."""
    query = select(inbox.c.position).where(inbox.c.position == receipt.position, _waits(tx))
    return tx.conn.execute(query).one_or_none() is not None


def _waits(tx: Tx) -> ColumnElement[bool]:
    return or_(inbox.c.state == "new", and_(inbox.c.state == "held", inbox.c.look_again_at <= tx.now))


_DECIDED = (
    update(inbox)
    .where(inbox.c.position == bindparam("at"))
    .values(
        {
            column: bindparam(column)
            for column in ("state", "look_again_at", "verdict", "reason", "incident", "triaged_at")
        }
    )
)


def decided(
    tx: Tx, receipt: Receipt, *, verdict: str, reason: str, incident: int | None, look_again_at: datetime | None
) -> None:
    """Write the decision beside the receipt; a held one is looked at again at `look_again_at`."""
    written = {
        "at": receipt.position,
        "state": "held" if look_again_at else "triaged",
        "look_again_at": look_again_at,
        "verdict": verdict,
        "reason": reason,
        "incident": incident,
        "triaged_at": tx.now,
    }
    tx.conn.execute(_DECIDED, written)


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


def undecided(tx: Tx, *, since: datetime) -> int:
    """How many alerts have waited since then for their decision, or for the second look that they were held for."""
    waits = func.coalesce(inbox.c.look_again_at, inbox.c.received_at)
    return tx.conn.execute(select(func.count()).where(_waits(tx), waits < since).select_from(inbox)).scalar_one()


def is_empty(tx: Tx) -> bool:
    """Whether no alert is kept here, decided or not."""
    return tx.conn.execute(select(inbox.c.position).limit(1)).first() is None


def listed(
    tx: Tx, *, states: Collection[str] = (), incident: int | None = None, limit: int = 50, before: int | None = None
) -> list[dict[str, Any]]:
    """What came in, with its decision and the reason, the newest first; `before` pages on from a position."""
    query = select(inbox).order_by(inbox.c.position.desc()).limit(limit)
    if before is not None:
        query = query.where(inbox.c.position < before)
    if states:
        query = query.where(inbox.c.state.in_(states))
    if incident is not None:
        query = query.where(inbox.c.incident == incident)
    return [as_dict(row) for row in tx.conn.execute(query)]


def _too_old(cutoffs: Cutoffs) -> ColumnElement[bool]:
    """Decided long ago; what an incident that is not over got stays."""
    still_open = select(incidents.c.number).where(incidents.c.state != State.RESOLVED)
    return and_(
        inbox.c.state == "triaged",
        inbox.c.triaged_at < cutoffs.received,
        or_(inbox.c.incident.is_(None), inbox.c.incident.not_in(still_open)),
    )


FACTS = (
    TableFacts(
        table=inbox,
        restore=Unchanged("an alert without a decision gets one as ever"),
        retention=_too_old,
        times=((inbox.c.look_again_at, inbox.c.state == "held"),),
    ),
)
