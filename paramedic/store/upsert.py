"""INSERT … ON CONFLICT, for which each kind of database has its own word."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table

from paramedic.store import Tx


def insert_or_update(tx: Tx, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Insert the row, or give these values to the one that has the key."""
    statement = _insert(tx, table).values(**key, **values)
    tx.conn.execute(statement.on_conflict_do_update(index_elements=list(key), set_=dict(values)))


def insert_if_missing(tx: Tx, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Insert the row; one that has the key stays as it is."""
    tx.conn.execute(_insert(tx, table).values(**key, **values).on_conflict_do_nothing(index_elements=list(key)))


def _insert(tx: Tx, table: Table) -> Any:
    # Of the two dialects the engine has loaded its own already; the other one takes a while to import.
    if tx.database == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)
