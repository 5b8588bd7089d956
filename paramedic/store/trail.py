"""The audit trail's append: in the same transaction as what it records, or not at all (P3)."""

import json
import secrets
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal

import rfc8785
from sqlalchemy import insert, select, text

from paramedic.audit import chain
from paramedic.incidents.incident import name
from paramedic.machine.clock import iso
from paramedic.store import Tx
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import trail as table
from paramedic.store.tables import trail_contents as contents
from paramedic.text.redaction import redact, redacted


def append(
    tx: Tx,
    *,
    actor: str,
    phase: str,
    what: str,
    reason: str,
    incident: int | None = None,
    target: str | None = None,
    data: Mapping[str, Any] | None = None,
    content: Mapping[str, Any] | None = None,
) -> int:
    """Write one entry at the head of the chain and return its number. `tx` must come from `Store.record`.

    `data` is hashed and stays for ever: ids, numbers, our own words. `content` (labels, output, notes) can be erased
    later; the chain holds only its salted digest. Known secrets are redacted in both.
    """
    salt = secrets.token_bytes(16) if content else None
    clean_content = redacted(dict(content)) if content else None
    entry = chain.chain(
        head(tx),
        store=tx.store,
        at=iso(tx.now),
        actor=redact(actor),
        phase=phase,
        what=what,
        incident=name(incident) if incident else None,
        target=None if target is None else redact(target),
        reason=redact(reason),
        data=redacted(dict(data or {})),
        content=clean_content,
        salt=salt,
    )
    row = {field: getattr(entry, field) for field in _FIELDS}
    tx.conn.execute(insert(table), {**row, "data": rfc8785.dumps(dict(entry.data)).decode()})
    if clean_content is not None:
        tx.conn.execute(insert(contents), {"seq": entry.seq, "salt": salt, "content": json.dumps(clean_content)})
    return entry.seq


_FIELDS = (
    "seq",
    "at",
    "actor",
    "phase",
    "what",
    "incident",
    "target",
    "reason",
    "content_digest",
    "previous",
    "hash",
    "schema",
)


_HEAD = select(table).order_by(table.c.seq.desc()).limit(1)


def head(tx: Tx) -> chain.Entry | None:
    """The newest entry, or None on an empty trail."""
    row = tx.conn.execute(_HEAD).one_or_none()
    return None if row is None else _entry(row)


def newest(tx: Tx, whats: Collection[str]) -> chain.Entry | None:
    """The newest entry with one of these in `what`; None if there is none."""
    query = select(table).where(table.c.what.in_(whats)).order_by(table.c.seq.desc()).limit(1)
    row = tx.conn.execute(query).one_or_none()
    return None if row is None else _entry(row)


def entries(tx: Tx, *, incident: int | None = None, after: int = 0, limit: int | None = None) -> Iterator[chain.Entry]:
    """Entries in order, streamed; of one incident, or of all."""
    query = select(table).where(table.c.seq > after).order_by(table.c.seq)
    if incident is not None:
        query = query.where(table.c.incident == name(incident))
    if limit is not None:
        query = query.limit(limit)
    for row in tx.conn.execute(query.execution_options(yield_per=500)):
        yield _entry(row)


def content(tx: Tx, seq: int) -> tuple[bytes, Mapping[str, Any]] | None:
    """The salt and erasable content of an entry; None if it has none or it was erased."""
    row = tx.conn.execute(select(contents.c.salt, contents.c.content).where(contents.c.seq == seq)).one_or_none()
    return None if row is None else (bytes(row.salt), json.loads(row.content))


def _entry(row: Any) -> chain.Entry:
    return chain.Entry(**{field: getattr(row, field) for field in _FIELDS}, data=json.loads(row.data))


def role_may(tx: Tx, right: Literal["UPDATE", "DELETE"]) -> bool | None:
    """Whether this connection's role has the right on the trail, whatever its triggers say; None: SQLite has no roles."""
    if tx.conn.dialect.name != "postgresql":
        return None
    query = text("SELECT has_table_privilege(current_user, 'trail', :right)")
    return bool(tx.conn.execute(query, {"right": right}).scalar_one())


FACTS = (
    TableFacts(
        table=table,
        restore=Unchanged("the chain goes on, in the next generation"),
        retention=Unchanged("entries leave in sealed segments alone"),
        times=(),
    ),
    TableFacts(
        table=contents,
        restore=Unchanged("they lie beside the chain"),
        retention=Unchanged("they leave with their entries"),
        times=(),
    ),
)
