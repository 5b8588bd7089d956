"""Probes whether the store takes writes, by a commit that needs disk space, as an alert's does."""

import secrets

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from paramedic.store import Store, StoreUnknown
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import meta, probes
from paramedic.store.upsert import insert_or_update

#: What is written, in characters. SQLite overwrites what it has of its log, so that a few bytes find room on a full disk;
#: PostgreSQL appends, and would keep every version of a large row for a while.
_LENGTH = {"sqlite": 32_768, "postgresql": 32}


def write(store: Store, name: str, *, expected: str | None = None) -> str:
    """Commit a new row for the probe `name` in place of its last one; returns the store's UUID.

    Raises StoreUnavailable, or StoreUnknown where its UUID is not `expected`, or it is of another version.
    """
    try:
        with store.write() as tx:
            if expected is not None and tx.conn.execute(select(meta.c.store)).scalar_one_or_none() != expected:
                raise StoreUnknown(f"another store stands where store {expected} was")
            content = secrets.token_hex(_LENGTH[tx.database] // 2)
            insert_or_update(tx, probes, {"name": name}, {"content": content})
            return tx.store
    except SQLAlchemyError as error:  # no table of ours, or no database at all
        raise StoreUnknown(str(error)) from error


FACTS = (
    TableFacts(
        table=probes,
        restore=Unchanged("each write replaces them"),
        retention=Unchanged("one row a prober"),
        times=(),
    ),
)
