"""SQLite locks of the embedded Prefect: its writes wait in one fair queue instead of polling for the lock."""

import asyncio
import sqlite3
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import Pool
from sqlalchemy.util import await_only

#: How long a call may wait for SQLite's lock. Prefect 3.8.8 fixes it to a minute: where those who wait hold every
#: connection, nobody is answered for as long.
LOCK_SECONDS = 10


def serialize_sqlite_writes(engine: Engine | type[Engine], pool: Pool | type[Pool]) -> None:
    """Queue all writers to SQLite through this engine and pool: first come, first served.

    Every transaction of Prefect's begins as a writing one. One that reads first, and then writes what another has changed
    meanwhile, is refused by SQLite without a wait; and where several wait for its lock, each sleeps and tries again, and one that
    is unlucky is refused after LOCK_SECONDS of it.
    """
    event.listen(pool, "checkout", _wait_less)
    event.listen(pool, "checkin", _end_turn)
    event.listen(engine, "before_cursor_execute", _begin_turn, retval=True)


def _begin_turn(conn: Any, _cursor: Any, statement: str, parameters: Any, *_: object) -> tuple[str, Any]:
    if statement not in ("BEGIN DEFERRED", "BEGIN IMMEDIATE"):
        return statement, parameters
    held = conn.connection.record_info
    if _TURN not in held:  # migrations begin more than once on one connection
        await_only(_wait_in_line(held))
    return "BEGIN IMMEDIATE", parameters


async def _wait_in_line(held: dict[str, Any]) -> None:
    line = _lines.setdefault(asyncio.get_running_loop(), asyncio.Lock())  # it is fair
    try:
        async with asyncio.timeout(LOCK_SECONDS):
            await line.acquire()
            held[_TURN] = line
    except TimeoutError as error:  # as SQLite itself would say it: Prefect answers 503
        raise OperationalError("BEGIN", None, sqlite3.OperationalError("database is locked")) from error


def _end_turn(_connection: Any, record: Any) -> None:
    line = record.record_info.pop(_TURN, None)
    if line is not None:
        line.release()


def _wait_less(connection: Any, record: Any, _proxy: object) -> None:
    if "aiosqlite" in type(connection).__module__ and "waits less" not in record.info:
        record.info["waits less"] = True
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {1000 * LOCK_SECONDS}")
        cursor.close()


_TURN = "its turn to write"


_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
