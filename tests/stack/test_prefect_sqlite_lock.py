"""A Prefect whose database is locked says so, and soon: whoever asked comes again, and nobody waits for a minute."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect_server import Prefect, http
from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from paramedic.stack.prefect_sqlite_lock import LOCK_SECONDS, serialize_sqlite_writes

pytestmark = pytest.mark.real


def test_a_write_that_cannot_be_made_is_refused_long_before_prefects_own_minute(prefect: Prefect) -> None:
    pool = {"name": "of-a-lock", "type": "process"}
    with contextlib.closing(sqlite3.connect(prefect.home / "prefect.db", isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        answer = httpx.post(f"{prefect.api}/work_pools/", json=pool, timeout=3 * LOCK_SECONDS, trust_env=False)
        database.execute("ROLLBACK")
    assert answer.status_code == 503
    assert prefect.ask("POST", "/work_pools/", json=pool)["name"] == "of-a-lock"


def test_who_writes_while_others_write_waits_and_is_not_refused(prefect: Prefect) -> None:
    flow = prefect.ask("POST", "/flows/", json={"name": "of-many-writers"})["id"]

    def write(_: int) -> list[tuple[int, float]]:
        with http(prefect.api, timeout=60) as client:
            answers = []

            def asked(path: str, body: dict[str, object]) -> httpx.Response:
                began = time.monotonic()
                answer = client.post(path, json=body)
                answers.append((answer.status_code, time.monotonic() - began))
                return answer

            for _ in range(3):
                made = asked("/flow_runs/", {"flow_id": flow, "state": {"type": "PENDING"}}).json()
                for state in ("RUNNING", "COMPLETED"):
                    asked(f"/flow_runs/{made.get('id')}/set_state", {"state": {"type": state}, "force": True})
        return answers

    with ThreadPoolExecutor(5) as writers:
        answers = [answer for batch in writers.map(write, range(5)) for answer in batch]
    # A machine that stands still for so long may have it refused; without its turn it would be refused at once.
    assert [(code, seconds) for code, seconds in answers if code != 201 and seconds < LOCK_SECONDS] == []


def test_turns_to_write_go_in_the_order_of_asking_and_one_that_is_cut_off_gives_its_own_back(tmp_path: Path) -> None:
    asked: list[str] = []
    all_have_asked = asyncio.Event()
    wrote: list[str] = []

    def ask(conn: Connection) -> None:
        asked.append(_task())
        if len(asked) == len(NAMES):
            all_have_asked.set()
        conn.exec_driver_sql("BEGIN DEFERRED")

    async def write(engine: AsyncEngine, go: asyncio.Event) -> None:
        async with engine.begin() as conn:
            await conn.execute(text("CREATE TABLE IF NOT EXISTS t (one INTEGER)"))
            await go.wait()
        wrote.append(_task())

    async def tried() -> None:
        engine = _without_patience(tmp_path / "one.db", ask)
        go = asyncio.Event()
        tasks = {name: asyncio.create_task(write(engine, go), name=name) for name in NAMES}
        await all_have_asked.wait()
        first, _, third, *_ = asked
        for name in (third, first):
            tasks[name].cancel()
        go.set()
        await asyncio.wait_for(asyncio.gather(*tasks.values(), return_exceptions=True), LOCK_SECONDS / 2)
        assert wrote == [name for name in asked if name not in (first, third)]
        await engine.dispose()

    asyncio.run(tried())


NAMES = "abcdef"


def _without_patience(file: Path, ask: Callable[[Connection], None]) -> AsyncEngine:
    """An engine as Prefect makes its own, whose connections do not wait for SQLite at all: nobody waits but in line."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}")
    serialize_sqlite_writes(engine.sync_engine, engine.sync_engine.pool)

    def sqlite_waits_for_nobody(connection: Any, *_: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 0")
        cursor.close()

    event.listen(engine.sync_engine.pool, "checkout", sqlite_waits_for_nobody)
    event.listen(engine.sync_engine, "begin", ask)
    return engine


def _task() -> str:
    task = asyncio.current_task()
    assert task is not None
    return task.get_name()
