"""INSERT … ON CONFLICT, for which each kind of database has its own word."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Table

from paramedic.store import Tx


def insert_or_update(tx: Tx, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Insert the row, or give these values to the one that has the key."""
    tx.conn.execute(_updating(tx.database, table, tuple(key), tuple(values)), {**key, **values})


def insert_if_missing(tx: Tx, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Insert the row; one that has the key stays as it is."""
    tx.conn.execute(_keeping(tx.database, table, tuple(key)), {**key, **values})


@lru_cache(maxsize=64)
def _updating(database: str, table: Table, key: tuple[str, ...], values: tuple[str, ...]) -> Any:
    """Made once: building a statement costs more than running it."""
    statement = _insert(database, table)
    return statement.on_conflict_do_update(
        index_elements=list(key), set_={name: statement.excluded[name] for name in values}
    )


@lru_cache(maxsize=64)
def _keeping(database: str, table: Table, key: tuple[str, ...]) -> Any:
    return _insert(database, table).on_conflict_do_nothing(index_elements=list(key))


def _insert(database: str, table: Table) -> Any:
    # Of the two dialects the engine has loaded its own already; the other one takes a while to import.
    if database == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)
