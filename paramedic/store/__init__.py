"""The store: one database, opened lazily, once per process and never before a fork."""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine import open_transaction
from paramedic.store import frozen_connections, tables


class StoreUnavailable(TemporaryError):
    """The database does not answer, is locked, or its disk is full.

    Nothing was written, unless the commit itself got no answer: then all of it is written or nothing.
    """


class StoreUnknown(PermanentError):
    """The database is of an unknown schema or another store; the message says what it is and what to do."""


#: The advisory lock that makes one chain of the trail on PostgreSQL.
_TRAIL_LOCK = 0x7061_7261_6D65_6469  # "paramedi"

#: Every revision of the schema that this version knows, oldest first. What is newer was made by its neighbour: migrations
#: expand first.
REVISIONS = sorted(file.name[:4] for file in (Path(__file__).parent / "migrations" / "versions").glob("[0-9]*.py"))

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: What a read begins with, so that all of it is one moment. SQLite's moment is that of the first row it reads.
_ONE_MOMENT = {
    "sqlite": "SELECT 1 FROM meta",
    "postgresql": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
}

_CLOCK = {
    "sqlite": text("SELECT CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)"),
    "postgresql": text("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"),
}


@dataclass(frozen=True, slots=True)
class Tx:
    """One transaction: its connection, the database's clock at its start, and whose store it is."""

    conn: Connection
    now: datetime
    store: str

    @property
    def database(self) -> str:
        """The kind of database: `sqlite` or `postgresql`."""
        return self.conn.dialect.name


class Store:
    """The store of one database. Cheap to make: nothing is opened before the first transaction.

    `now` replaces the database's clock in tests that move it by hand.
    """

    def __init__(self, url: str, *, now: Callable[[], datetime] | None = None) -> None:
        self._url = url
        self._now = now
        self._engine: Engine | None = None
        self._uuid: str | None = None

    @classmethod
    def on(cls, engine: Engine, *, uuid: str | None = None) -> Self:
        """A store on this engine, with a known UUID or the one that its database names."""
        store = cls(engine.url.render_as_string(hide_password=False))
        store._engine, store._uuid = engine, uuid
        return store

    @property
    def engine(self) -> Engine:
        """The engine, created at first use."""
        if self._engine is None:
            self._engine = connect(self._url)
        return self._engine

    @property
    def uuid(self) -> str:
        """The store's own UUID. Raises StoreUnavailable, or StoreUnknown before the first migration."""
        if self._uuid is None:
            with translated(), self.engine.connect() as conn:
                self._uuid = _identity(conn)
        return self._uuid

    def close(self) -> None:
        """Close every connection; the next transaction connects again. What was compiled for the database stays."""
        if self._engine is not None:
            self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """A read transaction: one snapshot of the store; writes are refused. Raises StoreUnavailable."""
        uuid = self.uuid
        with translated(), self.engine.execution_options(paramedic_reads=True).connect() as conn:
            conn.exec_driver_sql(_ONE_MOMENT[conn.dialect.name])
            with open_transaction.entered(open_transaction.Kind.READ):
                yield Tx(conn, self._clock(conn), uuid)

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """A write transaction without trail entries: durable when the block ends. Raises StoreUnavailable."""
        uuid = self.uuid
        engine = self.engine.execution_options(paramedic_writes=True)
        with translated(), engine.begin() as conn, open_transaction.entered(open_transaction.Kind.WRITE):
            yield Tx(conn, self._clock(conn), uuid)

    @contextmanager
    def record(self) -> Iterator[Tx]:
        """A write transaction with trail entries, all or nothing, one transaction at a time. Raises StoreUnavailable."""
        with self.write() as tx:
            if tx.conn.dialect.name == "postgresql":
                tx.conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _TRAIL_LOCK})
                tx = Tx(tx.conn, self._clock(tx.conn), tx.store)  # noqa: PLW2901 - waiting for the lock took time
            yield tx

    def _clock(self, conn: Connection) -> datetime:
        if self._now is not None:
            return self._now()
        micros: int = conn.execute(_CLOCK[conn.dialect.name]).scalar_one()
        return _EPOCH + timedelta(microseconds=micros)


def generation(tx: Tx) -> int:
    """The store's generation: 1, and a higher one after each restore from a backup."""
    number: int = tx.conn.execute(select(tables.meta.c.generation)).scalar_one()
    return number


#: How long SQLite waits for another writer, where `connect` is told nothing else.
LOCK_WAIT = timedelta(seconds=5)


def connect(url: str, *, lock_wait: timedelta | None = None) -> Engine:
    """An engine with the settings that durability needs. Raises PermanentError for an unsupported database.

    `lock_wait` is how long SQLite waits for another writer.
    """
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            engine = create_engine(
                parsed,
                connect_args={"timeout": (lock_wait or LOCK_WAIT).total_seconds()},
                pool_timeout=5,
                json_serializer=_as_json,
            )
            event.listen(engine, "do_connect", _keep_private)
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", partial(_begin_sqlite, lock_wait=lock_wait))
            return engine
        case "postgresql":
            engine = create_engine(
                parsed.set(drivername="postgresql+psycopg"),
                pool_pre_ping=True,
                json_serializer=_as_json,
                pool_timeout=5,
                connect_args=frozen_connections.settings(),
            )
            event.listen(engine, "do_connect", frozen_connections.connect)
            return engine
        case other:
            raise PermanentError(f"store_url names {other!r}; allowed: sqlite:///FILE, postgresql://USER@HOST/DATABASE")


def _keep_private(_dialect: object, _entry: object, args: list[Any], _kwargs: object) -> None:
    """Create a new database private to its owner; files that SQLite writes beside it get the same mode."""
    with suppress(OSError):  # it is there, or SQLite says what is wrong
        os.close(os.open(args[0], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _prepare_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # SQLAlchemy says BEGIN, not the driver
    [milliseconds] = connection.execute("PRAGMA busy_timeout").fetchone()
    to_wal = "PRAGMA journal_mode=WAL"
    # While another process makes the store, SQLite refuses this at once, and does not wait by itself.
    if not _executed_once_free(connection, to_wal, until=time.monotonic() + milliseconds / 1000):
        connection.execute(to_wal)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


#: How often a writer looks whether SQLite's one write lock is free.
_LOOK_SECONDS = 0.002


def _executed_once_free(connection: sqlite3.Connection, statement: str, *, until: float) -> bool:
    """Execute it as soon as no other connection's lock is in its way; False if one still is by then, or it fails otherwise."""
    while time.monotonic() < until:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                return False
            time.sleep(_LOOK_SECONDS)
        else:
            return True
    return False


def _begin_sqlite(conn: Connection, *, lock_wait: timedelta | None) -> None:
    """BEGIN. A writer polls for the lock at an even pace.

    SQLite's own wait sleeps ever longer, up to 0.1 s: whoever has waited longest gets the lock last, and beside others with
    many short transactions, never.
    """
    own: Any = conn.connection.dbapi_connection
    options = conn.get_execution_options()
    own.execute(f"PRAGMA query_only = {'ON' if options.get('paramedic_reads', False) else 'OFF'}")
    if not options.get("paramedic_writes", False):
        conn.exec_driver_sql("BEGIN")
        return
    wait = lock_wait or LOCK_WAIT
    until = time.monotonic() + wait.total_seconds()
    own.execute("PRAGMA busy_timeout = 0")
    try:
        if not _executed_once_free(own, "BEGIN IMMEDIATE", until=until):
            conn.exec_driver_sql("BEGIN IMMEDIATE")  # SQLAlchemy wraps what this raises
    finally:
        own.execute(f"PRAGMA busy_timeout = {int(wait / timedelta(milliseconds=1))}")


class Serialized(str):
    """A JSON column's value that is serialized already."""

    __slots__ = ()


def _as_json(value: Any) -> str:
    return str(value) if isinstance(value, Serialized) else json.dumps(value)


def _identity(conn: Connection) -> str:
    try:
        uuid: str | None = conn.execute(select(tables.meta.c.store)).scalar_one_or_none()
    except DBAPIError as error:
        if "no such table" in str(error.orig) or "does not exist" in str(error.orig):
            raise StoreUnknown("the database has no tables yet; `paramedic up` makes them") from error
        raise
    if uuid is None:
        raise StoreUnknown("the database has tables and no identity; it was not made by Paramedic's migrations")
    at: str | None = conn.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    if at in REVISIONS[:-1]:
        raise StoreUnknown(
            f"the store is at revision {at}, and this version needs {REVISIONS[-1]}: `paramedic upgrade` brings it there"
        )
    return uuid


#: What the database says about our statement, or a value in it. All else it says about itself: gone, locked, full, broken.
OUR_MISTAKE = (IntegrityError, ProgrammingError, DataError, NotSupportedError)


@contextmanager
def translated() -> Iterator[None]:
    """Translate every error of an unreachable database to StoreUnavailable."""
    try:
        yield
    except PoolTimeout as error:
        raise StoreUnavailable("the store cannot be used now: every connection is taken") from error
    except OUR_MISTAKE:
        raise
    except DBAPIError as error:
        words = " ".join(str(error.orig).split())[:300]
        raise StoreUnavailable(f"the store cannot be used now: {words}") from error


def as_dict(row: Any) -> dict[str, Any]:
    """A row as a plain dict, for JSON."""
    return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented way to a mapping
