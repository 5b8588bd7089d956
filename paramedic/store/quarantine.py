"""The quarantine: unreadable bodies, kept with the reason for a person to look at, and what senders post beside alerts."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, select, tuple_

from paramedic.store import Tx, as_dict
from paramedic.store.messages import queue_internal_alert
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import quarantine

#: A kept body is cut to this many characters.
BODY_LIMIT = 65_536


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A body, or a part of one, that could not be read; `error` names the field and the reason."""

    body: str
    error: str


@dataclass(frozen=True, slots=True)
class Beside:
    """A body that is no alert, and what it is; `tell`: a person is told of it."""

    body: str
    what: str
    tell: bool = False


class NoSuchBody(LookupError):
    """The quarantine has no body with this id."""


def put(tx: Tx, source: str, sender: str, bad: Sequence[Unreadable]) -> None:
    """Store the unreadable parts of one sender's requests, and queue a message about them."""
    if not bad:
        return
    rows = _stored(tx, source, sender, [(part.body, part.error) for part in bad], beside=False)
    queue_internal_alert(
        tx,
        subject=f"An alert of {sender} could not be read ({source})",
        body=f"{bad[0].error}\n\nIt was sent by {sender} and is kept as {rows[0]['id']}. It opened no incident: "
        "look at it.",
        same_within_minutes=10,
        times=len(bad),
    )


def put_beside(tx: Tx, source: str, sender: str, asides: Sequence[Beside]) -> None:
    """Store what one sender posted beside alerts, and queue a message about each kind of it that a person is to be told of."""
    if not asides:
        return
    _stored(tx, source, sender, [(part.body, part.what) for part in asides], beside=True)
    for what in dict.fromkeys(part.what for part in asides if part.tell):
        queue_internal_alert(
            tx,
            subject=f"{sender} sent something that is no alert ({source})",
            body=f"{what}\n\n`paramedic alert refused --beside` has it.",
            same_within_minutes=60,
            times=0,
        )


def _stored(
    tx: Tx, source: str, sender: str, parts: Sequence[tuple[str, str]], *, beside: bool
) -> list[dict[str, Any]]:
    rows = [
        {
            "id": str(uuid.uuid4()),
            "source": source,
            "sender": sender,
            "received_at": tx.now,
            "error": why,
            "body": body,
            "beside": beside,
        }
        for body, why in parts
    ]
    tx.conn.execute(insert(quarantine), rows)
    return rows


def keep_newest(tx: Tx, count: int) -> None:
    """Remove all but the newest `count` unreadable bodies, and as many of those beside alerts."""
    for beside in (False, True):
        its = quarantine.c.beside.is_(beside)
        newest = (
            select(quarantine.c.id).where(its).order_by(quarantine.c.received_at.desc(), quarantine.c.id).limit(count)
        )
        tx.conn.execute(delete(quarantine).where(its, quarantine.c.id.not_in(newest)))


def listed(tx: Tx, *, limit: int = 20, before: str | None = None, beside: bool = False) -> list[dict[str, Any]]:
    """Unreadable bodies, or those `beside` alerts, newest first; `before` continues from the body with this id.

    Raises NoSuchBody.
    """
    its = select(quarantine).where(quarantine.c.beside.is_(beside))
    query = its.order_by(quarantine.c.received_at.desc(), quarantine.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(_older(tx, before))
    return [as_dict(row) for row in tx.conn.execute(query)]


def _older(tx: Tx, known: str) -> ColumnElement[bool]:
    """The condition for bodies before this one; those of one request have one time."""
    came = tx.conn.execute(select(quarantine.c.received_at).where(quarantine.c.id == known)).scalar_one_or_none()
    if came is None:
        raise NoSuchBody(f"no body {known} is kept; `paramedic alert refused` lists those that are")
    return tuple_(quarantine.c.received_at, quarantine.c.id) < (came, known)


FACTS = (
    TableFacts(
        table=quarantine,
        restore=Unchanged("what could not be read then cannot be read now"),
        retention=lambda cutoffs: quarantine.c.received_at < cutoffs.received,
        times=(),
    ),
)
