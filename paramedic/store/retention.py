"""Retention: removes old rows in small batches. Which rows are too old is declared beside each table."""

from sqlalchemy import ColumnElement, Table, delete, select, tuple_

from paramedic.store import Tx
from paramedic.store.table_facts import Cutoffs, Unchanged, declared


def remove_old(tx: Tx, cutoffs: Cutoffs, *, at_most: int) -> dict[str, int]:
    """Remove at most `limit` rows of each table; returns the counts of the tables that lost rows."""
    gone = {
        facts.table.name: _bite(tx, facts.table, facts.retention(cutoffs), at_most)
        for facts in declared()
        if not isinstance(facts.retention, Unchanged)
    }
    return {name: count for name, count in gone.items() if count}


def _bite(tx: Tx, table: Table, old: ColumnElement[bool], at_most: int) -> int:
    key = tuple_(*table.primary_key.columns)
    some = select(*table.primary_key.columns).where(old).limit(at_most)
    return tx.conn.execute(delete(table).where(key.in_(some))).rowcount
