"""The embedded Prefect's SQLite: its transactions wait in one fair queue, and hold no connection while they wait."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from prefect.server.database.configurations import ENGINES, AioSqliteConfiguration
from prefect.server.database.dependencies import set_database_config
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from sqlalchemy import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry

log = logging.getLogger(__name__)

#: Longer ones are logged: whatever writes has waited for them.
_LONG_SECONDS = 2.0

#: How long a call may wait for its turn, and then for SQLite's lock. Prefect 3.8.8 fixes the latter to a minute.
LOCK_SECONDS = 10


def use_fair_sqlite() -> None:
    """Give the Prefect server of this process FairSqlite, if its database is SQLite. Call before its application is made."""
    url = PREFECT_API_DATABASE_CONNECTION_URL.value()
    if make_url(url).get_backend_name() == "sqlite":
        set_database_config(FairSqlite(url))


class FairSqlite(AioSqliteConfiguration):
    """Prefect's SQLite, whose transactions come one after the other: first come, first served.

    Each begins as a writing one. One that reads first, and then writes what another has changed meanwhile, is refused by SQLite
    without a wait; and where several wait for its lock, each sleeps and tries again, and one that is unlucky is refused.
    Who waits here has no connection yet: there are fifteen, and calls that only read need one.
    """

    @asynccontextmanager
    async def begin_transaction(
        self,
        session: AsyncSession,
        with_for_update: bool = False,  # noqa: ARG002, FBT001, FBT002 - Prefect's signature; each is for update here
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        """Begin a transaction in its turn. Raises OperationalError, as SQLite would, if that takes over LOCK_SECONDS."""
        async with _turn(), super().begin_transaction(session, with_for_update=True) as transaction:
            yield transaction

    def setup_sqlite(self, conn: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        """Set a new connection up as Prefect does; it waits for LOCK_SECONDS for SQLite's lock."""
        super().setup_sqlite(conn, record)
        cursor = conn.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {1000 * LOCK_SECONDS}")
        cursor.close()


@asynccontextmanager
async def _turn() -> AsyncIterator[None]:
    line = _lines.setdefault(asyncio.get_running_loop(), asyncio.Lock())  # it is fair
    try:
        async with asyncio.timeout(LOCK_SECONDS):
            await line.acquire()
    except TimeoutError as error:  # Prefect answers 503
        log.warning("a call is refused: no turn at Prefect's database in %s s; %s", LOCK_SECONDS, _connections())
        raise OperationalError("BEGIN", None, sqlite3.OperationalError("database is locked")) from error
    began = time.monotonic()
    try:
        yield
    finally:
        line.release()
        if (took := time.monotonic() - began) > _LONG_SECONDS:
            log.warning("a transaction of Prefect's had its database for %.1f s; %s", took, _connections())


def _connections() -> str:
    pools = [pool for engine in ENGINES.values() if isinstance(pool := engine.pool, AsyncAdaptedQueuePool)]
    return f"connections in use: {sum(pool.checkedout() for pool in pools)}"


_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
