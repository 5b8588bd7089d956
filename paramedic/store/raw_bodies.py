"""Bodies as senders posted them, beside the alerts that were read from them: redacted, bounded, and gone with age or number."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select

from paramedic.store import Tx
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import raw_bodies
from paramedic.text.redaction import redact, redact_start

#: A kept body is cut to so many characters, and a header's value to this many.
BODY_LIMIT, _HEADER_LIMIT = 65_536, 1000

#: The newest so many are kept.
MOST = 20_000

#: What the inbox names in place of a body that was not kept, because too much came at once.
NOT_KEPT = "-"

#: The headers that are part of what is said; no other is kept, least of all who sent it.
_SAY = ("content-type", "user-agent")
_EVENT = "ce-"


@dataclass(frozen=True, slots=True)
class RawBody:
    """One body, redacted and cut; `size` is how many bytes it had."""

    id: str
    headers: Mapping[str, str]
    body: str
    size: int


def raw_body(headers: Mapping[str, str], body: bytes) -> RawBody:
    """The body of a request as it is kept; the work is bounded, however large it is."""
    text = body[: 2 * BODY_LIMIT].decode("utf-8", "backslashreplace")
    said = {
        name: redact(value[:_HEADER_LIMIT])
        for name, value in headers.items()
        if name in _SAY or name.startswith(_EVENT)
    }
    return RawBody(uuid.uuid4().hex, said, redact_start(text, BODY_LIMIT), len(body))


def put(tx: Tx, bodies: Sequence[RawBody]) -> None:
    """Write them, and remove the oldest of too many."""
    if not bodies:
        return
    rows = [
        {"id": kept.id, "received_at": tx.now, "size": kept.size, "headers": dict(kept.headers), "body": kept.body}
        for kept in bodies
    ]
    tx.conn.execute(insert(raw_bodies), rows)
    newest = select(func.max(raw_bodies.c.position)).scalar_subquery()
    tx.conn.execute(delete(raw_bodies).where(raw_bodies.c.position <= newest - MOST))


def get(tx: Tx, key: str) -> RawBody | None:
    """The body that the inbox names so; None where it is no longer kept."""
    row = tx.conn.execute(select(raw_bodies).where(raw_bodies.c.id == key)).one_or_none()
    return None if row is None else _body(row)


def _body(row: Any) -> RawBody:
    return RawBody(row.id, row.headers, row.body, row.size)


FACTS = (
    TableFacts(
        table=raw_bodies,
        restore=Unchanged("it was posted then"),
        retention=lambda cutoffs: raw_bodies.c.received_at < cutoffs.received,
        times=(),
    ),
)
