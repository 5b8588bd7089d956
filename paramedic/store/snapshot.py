"""Snapshots: the whole store as one SQLite file, and from such a file back into a database of either kind."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import JSON, Connection, MetaData, delete, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from paramedic.errors import PermanentError
from paramedic.machine.kill_points import kill_point
from paramedic.store import StoreUnavailable, StoreUnknown, connect, translated
from paramedic.store.migrations import at_revision, migrate

#: Rows that are held in memory at a time.
_ROWS = 1000

#: Alembic's own table: which schema it is, the migration says.
_REVISION = "alembic_version"


def snapshot(url: str, file: Path) -> None:
    """Write a consistent copy of the store into a new SQLite file, while everything runs.

    Its schema is not migrated. Raises StoreUnavailable, or StoreUnknown for one that this version does not know.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        try:
            with closing(sqlite3.connect(parsed.database or "")) as here, closing(sqlite3.connect(file)) as there:
                here.backup(there)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the store cannot be copied now: {error}") from error
        return
    engine = connect(url)
    try:
        with translated(), engine.connect().execution_options(isolation_level="REPEATABLE READ") as here:
            revision = at_revision(here)
            if revision is None:
                raise StoreUnknown("the database has no tables yet: there is nothing to copy")
            migrate(f"sqlite:///{file}", revision=revision)
            _copy(here, f"sqlite:///{file}")
    finally:
        engine.dispose()


def put(file: Path, url: str) -> None:
    """Replace the database's content by the file's, in one transaction. Both are at this version's schema.

    Raises StoreUnavailable, and PermanentError on PostgreSQL for a role that does not own the tables.
    """
    engine = connect(f"sqlite:///{file}")
    try:
        with translated(), engine.connect() as here:
            _copy(here, url)
    except ProgrammingError as error:
        raise PermanentError(
            "this role may not replace the store's tables; name the role that owns them: PARAMEDIC_STORE_OWNER_URL"
        ) from error
    finally:
        engine.dispose()


def other_sessions(url: str) -> int:
    """The number of other connections to this PostgreSQL now; 0 for SQLite, which does not know. Raises StoreUnavailable."""
    engine = connect(url)
    try:
        with translated(), engine.connect() as conn:
            if conn.dialect.name != "postgresql":
                return 0
            query = text(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
            count: int = conn.execute(query).scalar_one()
            return count
    finally:
        engine.dispose()


def counters(conn: Connection) -> dict[str, int]:
    """The last row number of each table."""
    if conn.dialect.name == "sqlite":
        return {row.name: row.seq for row in conn.execute(text("SELECT name, seq FROM sqlite_sequence"))}
    given = {}
    for table, _, sequence in _sequences(conn):
        row = conn.execute(text(f"SELECT last_value, is_called FROM {sequence}")).one()  # noqa: S608 - PostgreSQL's own word
        given[table] = row.last_value if row.is_called else 0
    return given


def count_on(conn: Connection, given: Mapping[str, int]) -> None:
    """Continue each table's numbers after this one, and after those of its rows."""
    if conn.dialect.name == "sqlite":
        for name, last in given.items():
            conn.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": name})
            conn.execute(
                text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), {"name": name, "last": last}
            )
        return
    for table, column, sequence in _sequences(conn):
        # SQLite keeps no count of a table whose removed numbers may come again.
        there = conn.execute(text(f"SELECT coalesce(max({column}), 0) FROM {table}")).scalar_one()  # noqa: S608 - ours
        last = max(given.get(table, 0), there)
        conn.execute(
            text("SELECT setval(CAST(:sequence AS regclass), :last, :called)"),
            {"sequence": sequence, "last": max(last, 1), "called": last > 0},
        )


def _sequences(conn: Connection) -> list[tuple[str, str, str]]:
    """The tables with numbers from PostgreSQL: table, column and sequence."""
    query = text(
        "SELECT c.relname, a.attname, pg_get_serial_sequence(quote_ident(c.relname), a.attname) AS counts "
        "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped"
    )
    return [(row.relname, row.attname, row.counts) for row in conn.execute(query) if row.counts is not None]


def _copy(here: Connection, url: str) -> None:
    engine = connect(url)
    try:
        with translated(), engine.execution_options(paramedic_writes=True).begin() as there, _unguarded(there):
            mine, theirs = _reflected(here), _reflected(there)
            for table in reversed(theirs.sorted_tables):
                there.execute(delete(table))
            kill_point("store_emptied")
            for table in theirs.sorted_tables:
                rows = here.execute(select(mine.tables[table.name]).execution_options(yield_per=_ROWS)).mappings()
                for part in rows.partitions():
                    there.execute(insert(table), [dict(row) for row in part])
            count_on(there, counters(here))
    finally:
        engine.dispose()


def _reflected(conn: Connection) -> MetaData:
    """The tables reflected from the database: of any revision, with raw values."""
    found = MetaData()
    found.reflect(conn, only=lambda name, _: name != _REVISION)
    for column in (column for table in found.tables.values() for column in table.columns):
        if isinstance(column.type, JSON):
            column.type.none_as_null = bool(column.nullable)
    return found


@contextmanager
def _unguarded(conn: Connection) -> Iterator[None]:
    """Disable the trail's guards in this transaction, to replace it as a whole: only the tables' owner can."""
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql("ALTER TABLE trail DISABLE TRIGGER USER")
        yield
        conn.exec_driver_sql("ALTER TABLE trail ENABLE TRIGGER USER")
        return
    triggers = conn.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")).all()
    for trigger in triggers:
        conn.exec_driver_sql(f"DROP TRIGGER {trigger.name}")
    yield
    for trigger in triggers:
        conn.exec_driver_sql(trigger.sql)
