"""The inbox: an alert is durable here before its sender gets its 202 (P1)."""

import json
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, and_, bindparam, func, insert, or_, select, text, update

from paramedic.alerts.alert import Alert, Severity
from paramedic.incidents.incident import State
from paramedic.incidents.tier import URGENCIES, Tier, urgency
from paramedic.store import Serialized, Store, Tx, as_dict, quarantine, raw_bodies
from paramedic.store.messages import queue_internal_alert
from paramedic.store.quarantine import BODY_LIMIT, Beside, Unreadable
from paramedic.store.raw_bodies import RawBody
from paramedic.store.table_facts import Cutoffs, TableFacts, Unchanged
from paramedic.store.tables import inbox, incidents
from paramedic.store.tables.columns import Moment
from paramedic.text.redaction import Redacted, may_hold_a_secret, redact, redact_start, redacted


@dataclass(frozen=True, slots=True)
class Receipt:
    """An alert that waits for its decision."""

    position: int
    id: str
    received_at: datetime
    fields: Mapping[str, Any]
    urgency: int = 0
    sender: str = ""
    waits_for: str | None = None
    """What it was held for, beside its time."""
    is_new: bool = field(default=True, compare=False)
    """Whether it was never decided on before."""

    @property
    def alert(self) -> Alert:
        """The alert. Raises KeyError or ValueError where the row cannot be read."""
        return Alert.from_json(self.fields)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The alerts of one request, redacted and serialized, so that the transaction only writes."""

    source: str
    sender: str
    rows: tuple[Mapping[str, Any], ...]
    bad: tuple[Unreadable, ...]
    keep: int
    first: str | None
    """The name of its first alert."""
    truncated: int = 0
    """How many alerts its sender says it left out."""
    asides: tuple[Beside, ...] = ()
    """What it sent that is no alert."""
    raw: RawBody | None = None
    """The body that its alerts came in, if it is kept."""

    @property
    def receipts(self) -> list[str]:
        """The receipt ids, in the alerts' order."""
        return [row["receipt"] for row in self.rows]

    @property
    def is_critical(self) -> bool:
        """Whether one of its alerts is critical."""
        return any(row["severity"] == Severity.CRITICAL for row in self.rows)

    @property
    def size(self) -> int:
        """Its approximate size in characters."""
        bodies = [*(part.body for part in self.bad), *(part.body for part in self.asides)]
        return (
            sum(len(row["alert"]) for row in self.rows)
            + sum(map(len, bodies))
            + (len(self.raw.body) if self.raw else 0)
        )


def prepare(
    alerts: Sequence[Alert],
    *,
    source: str,
    sender: str,
    bad: Sequence[Unreadable] = (),
    keep: int = 1000,
    truncated: int = 0,
    asides: Sequence[Beside] = (),
    tier_of: Callable[[Alert], Tier] = lambda _: Tier.STANDARD,
    raw: RawBody | str | None = None,
) -> Delivery:
    """Prepare a delivery, without a transaction. `keep` is how many bodies the quarantine keeps.

    `tier_of` says how much customers depend on the service of an alert: the most urgent ones are decided first.
    `raw`: the body as it came; a text in its place says that it is not kept (`raw_bodies.NOT_KEPT`).
    """
    kept = raw if isinstance(raw, RawBody) and alerts else None
    clean = _clean if may_hold_a_secret(text for alert in alerts for text in _texts(alert)) else Alert.as_json
    redacted_sender = Redacted(redact(sender))
    rows = tuple(
        {
            "receipt": str(uuid.uuid4()),
            "source": source,
            "sender": redacted_sender,
            "alert": _serialized(clean(alert)),
            "state": "new",
            "severity": alert.severity.value,
            "urgency": urgency(alert.severity, tier_of(alert)),
            "raw": raw.id if isinstance(raw, RawBody) else raw,
        }
        for alert in alerts
    )
    unreadable = tuple(Unreadable(redact_start(part.body, BODY_LIMIT), part.error) for part in bad)
    beside = tuple(replace(part, body=redact_start(part.body, BODY_LIMIT)) for part in asides)
    first = alerts[0].name if alerts else None
    return Delivery(source, sender, rows, unreadable, keep, first, truncated, beside, kept)


def write(tx: Tx, deliveries: Sequence[Delivery]) -> None:
    """Write the deliveries of many requests; queues one message per sender about what could not be read."""
    rows = [{**row, "received_at": tx.now} for delivery in deliveries for row in delivery.rows]
    if rows:
        tx.conn.execute(insert(inbox), rows)
    raw_bodies.put(tx, [delivery.raw for delivery in deliveries if delivery.raw is not None])
    _report_truncated(tx, deliveries)
    others = [delivery for delivery in deliveries if delivery.bad or delivery.asides]
    if not others:
        return
    for (source, sender), together in groupby(sorted(others, key=_origin), key=_origin):
        group = list(together)
        quarantine.put(tx, source, sender, [bad for delivery in group for bad in delivery.bad])
        quarantine.put_beside(tx, source, sender, [aside for delivery in group for aside in delivery.asides])
    quarantine.keep_newest(tx, min(delivery.keep for delivery in others))


def receive(
    store: Store, alerts: Sequence[Alert], *, source: str, sender: str, bad: Sequence[Unreadable] = (), keep: int = 1000
) -> list[str]:
    """Write the alerts, and what could not be read, in one durable commit; returns the receipt ids, in the alerts' order.

    Raises StoreUnavailable; the sender must then send again. A person is paged about what could not be read; the quarantine
    keeps the newest `keep` bodies.
    """
    delivery = prepare(alerts, source=source, sender=sender, bad=bad, keep=keep)
    with store.write() as tx:
        write(tx, [delivery])
    return delivery.receipts


def put(tx: Tx, alerts: Sequence[Alert], *, source: str, sender: str, tier: Tier = Tier.STANDARD) -> list[str]:
    """Write alerts of one service of this tier in the caller's transaction; returns the receipt ids, in the alerts' order."""
    delivery = prepare(alerts, source=source, sender=sender, tier_of=lambda _: tier)
    write(tx, [delivery])
    return delivery.receipts


def _report_truncated(tx: Tx, deliveries: Sequence[Delivery]) -> None:
    """Queue a message about alerts that a sender left out: nothing else would ever show them."""
    for delivery in deliveries:
        if delivery.truncated:
            queue_internal_alert(
                tx,
                subject=f"{delivery.sender} left alerts out of what it sent",
                body=f"{delivery.truncated} alerts of one group were not sent to Paramedic ({delivery.source}: truncatedAlerts), "
                f"the first of those that came is {redact(delivery.first or 'none')}. Look at the sender itself; raise or remove "
                "`max_alerts` in its webhook_config.",
                same_within_minutes=10,
            )


def _origin(delivery: Delivery) -> tuple[str, str]:
    return delivery.source, delivery.sender


def _serialized(fields: Mapping[str, Any]) -> Serialized:
    try:
        return Serialized(orjson.dumps(fields).decode())
    except TypeError:  # half a surrogate pair: it is no UTF-8, and an escape in JSON
        return Serialized(json.dumps(fields))


def _texts(alert: Alert) -> Iterator[str]:
    """Every text of the alert that is its sender's."""
    yield alert.name
    yield from alert.labels
    yield from alert.labels.values()
    yield from alert.annotations
    yield from alert.annotations.values()
    yield from alert.notes
    yield alert.value or ""
    yield alert.by or ""


def _clean(alert: Alert) -> dict[str, Any]:
    """The alert as JSON, with its sender's texts redacted; our own values (severity, status) stay."""
    fields = alert.as_json()
    texts = {key: fields[key] for key in ("name", "labels", "annotations", "value", "notes", "by")}
    clean: dict[str, Any] = redacted(texts)
    return fields | clean


def waiting(tx: Tx, limit: int = 100) -> list[Receipt]:
    """The receipts without a decision, and those held until now: the most urgent first, alike ones in order of arrival.

    Alerts with one fingerprint and one severity keep their order. Where the severity changed in between, an earlier report
    may come later, and triage recognizes it as the earlier one.
    """
    found = _found(tx, _NEXT_NEW, most=limit)
    if _is_any_due(tx):
        # By each urgency's own part of the index: one query for all would sort the whole backlog for every batch.
        for level in range(URGENCIES):
            found += _found(tx, _NEXT_DUE, now=tx.now, level=level, most=limit)
        found.sort(key=lambda receipt: (receipt.urgency, receipt.position))
    return found[:limit]


#: As the partial indexes say it: a bound parameter would hide from SQLite that they fit.
_NEW, _HELD = text("inbox.state = 'new'"), text("inbox.state = 'held'")

#: Built once: building a statement costs more than running it.
_NEXT_NEW = select(inbox).where(_NEW).order_by(inbox.c.urgency, inbox.c.position).limit(bindparam("most"))
_NEXT_DUE = (
    select(inbox)
    .where(_HELD, inbox.c.urgency == bindparam("level"), inbox.c.look_again_at <= bindparam("now", type_=Moment))
    .order_by(inbox.c.look_again_at, inbox.c.position)
    .limit(bindparam("most"))
)
_ANY_DUE = select(inbox.c.position).where(_HELD, inbox.c.look_again_at <= bindparam("now", type_=Moment)).limit(1)


def _is_any_due(tx: Tx) -> bool:
    return tx.conn.execute(_ANY_DUE, {"now": tx.now}).first() is not None


def _found(tx: Tx, query: Select[Any], **given: Any) -> list[Receipt]:
    return [
        Receipt(
            row.position,
            row.receipt,
            row.received_at,
            row.alert,
            row.urgency,
            row.sender,
            row.waits_for,
            row.state == "new",
        )
        for row in tx.conn.execute(query, given)
    ]


def any_waiting(tx: Tx) -> bool:
    """Whether any receipt is to be decided now."""
    return tx.conn.execute(select(inbox.c.position).where(_waits(tx)).limit(1)).first() is not None


def still_waits(tx: Tx, receipt: Receipt) -> bool:
    """Whether the receipt is still undecided. Call in the transaction that decides."""
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
            for column in (
                "state",
                "look_again_at",
                "verdict",
                "reason",
                "incident",
                "triaged_at",
                "waits_for",
                "held_by",
            )
        }
    )
)


def decided(
    tx: Tx,
    receipt: Receipt,
    *,
    verdict: str,
    reason: str,
    incident: int | None,
    look_again_at: datetime | None,
    waits_for: str | None = None,
    held_by: str | None = None,
) -> None:
    """Write the decision to the receipt; a held one is decided again at `look_again_at`, or before by `look_again_for`."""
    written = {
        "at": receipt.position,
        "state": "held" if look_again_at else "triaged",
        "look_again_at": look_again_at,
        "verdict": verdict,
        "reason": reason,
        "incident": incident,
        "triaged_at": tx.now,
        "waits_for": waits_for if look_again_at else None,
        "held_by": held_by,
    }
    tx.conn.execute(_DECIDED, written)


def look_again(tx: Tx) -> None:
    """Decide held receipts now, because the reason for a hold ended early. Those that must wait are held again."""
    tx.conn.execute(update(inbox).where(inbox.c.state == "held").values(look_again_at=tx.now))


def depth(tx: Tx) -> tuple[int, datetime | None]:
    """The number of alerts without a first decision, and the time of the oldest."""
    row = tx.conn.execute(
        select(func.count(), func.min(inbox.c.received_at)).where(inbox.c.state == "new").select_from(inbox)
    ).one()
    oldest: datetime | None = row[1]
    return row[0], oldest


def undecided(tx: Tx, *, since: datetime) -> int:
    """The number of alerts that have waited since then for a decision, first or after a hold."""
    waits = func.coalesce(inbox.c.look_again_at, inbox.c.received_at)
    return tx.conn.execute(select(func.count()).where(_waits(tx), waits < since).select_from(inbox)).scalar_one()


def is_empty(tx: Tx) -> bool:
    """Whether the inbox holds no alert, decided or not."""
    return tx.conn.execute(select(inbox.c.position).limit(1)).first() is None


def listed(
    tx: Tx,
    *,
    states: Collection[str] = (),
    incident: int | None = None,
    held_back: bool = False,
    limit: int = 50,
    before: int | None = None,
) -> list[dict[str, Any]]:
    """The received alerts with decision and reason, newest first; `before` continues from a position.

    `held_back`: only those that are held, or were dropped.
    """
    query = select(inbox).order_by(inbox.c.position.desc()).limit(limit)
    if before is not None:
        query = query.where(inbox.c.position < before)
    if states:
        query = query.where(inbox.c.state.in_(states))
    if incident is not None:
        query = query.where(inbox.c.incident == incident)
    if held_back:
        query = query.where(inbox.c.held_by.is_not(None))
    return [as_dict(row) for row in tx.conn.execute(query)]


def one(tx: Tx, name: str) -> dict[str, Any] | None:
    """The received alert with this receipt, or this position; None where there is none."""
    at = inbox.c.receipt == name
    if name.isascii() and name.isdecimal() and len(name) < 19:
        at = or_(at, inbox.c.position == int(name))
    row = tx.conn.execute(select(inbox).where(at)).one_or_none()
    return None if row is None else as_dict(row)


def _too_old(cutoffs: Cutoffs) -> ColumnElement[bool]:
    """Receipts decided long ago, except those of incidents that are not over."""
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
