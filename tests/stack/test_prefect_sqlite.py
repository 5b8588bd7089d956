"""A Prefect whose database is locked says so, and soon: whoever asked comes again, and nobody waits for a minute."""

import asyncio
import contextlib
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect_server import Prefect, http
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from paramedic.stack import prefect_sqlite
from paramedic.stack.prefect_sqlite import LOCK_SECONDS, FairSqlite

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


class Impatient(FairSqlite):
    """Its connections do not wait for SQLite at all: nobody waits but in line."""

    def setup_sqlite(self, conn: Any, record: Any) -> None:
        super().setup_sqlite(conn, record)
        cursor = conn.cursor()
        cursor.execute("PRAGMA busy_timeout = 0")
        cursor.close()


class Writers:
    """Tasks that write side by side through one configuration, each until it may `go`."""

    def __init__(self, file: Path) -> None:
        self.sqlite = Impatient(f"sqlite+aiosqlite:///{file}")
        self.go = asyncio.Event()
        self.asked: list[str] = []
        self.wrote: list[str] = []

    async def begin(self, names: str) -> dict[str, asyncio.Task[None]]:
        """One task for each letter; returns when all have asked for their turn and one has it."""
        all_have_asked = asyncio.Event()
        tasks = {name: asyncio.create_task(self._write(name, all_have_asked, len(names))) for name in names}
        await all_have_asked.wait()
        return tasks

    async def _write(self, name: str, all_have_asked: asyncio.Event, of: int) -> None:
        engine = await self.sqlite.engine()
        async with await self.sqlite.session(engine) as session:
            self.asked.append(name)
            if len(self.asked) == of:
                all_have_asked.set()
            async with self.sqlite.begin_transaction(session):
                await session.execute(text("CREATE TABLE IF NOT EXISTS t (one INTEGER)"))
                await self.go.wait()
            self.wrote.append(name)


def test_turns_to_write_go_in_the_order_of_asking_and_one_that_is_cut_off_gives_its_own_back(tmp_path: Path) -> None:
    async def tried() -> None:
        writers = Writers(tmp_path / "one.db")
        tasks = await writers.begin("abcdef")
        first, _, third, *_ = writers.asked
        for name in (third, first):
            tasks[name].cancel()
        writers.go.set()
        await asyncio.wait_for(asyncio.gather(*tasks.values(), return_exceptions=True), LOCK_SECONDS / 2)
        assert writers.wrote == [name for name in writers.asked if name not in (first, third)]

    asyncio.run(tried())


def test_however_many_wait_to_write_one_that_reads_finds_a_connection(tmp_path: Path) -> None:
    async def tried() -> None:
        writers = Writers(tmp_path / "one.db")
        tasks = await writers.begin("abcdefghijklmnopqrstuvwxyz")
        engine = await writers.sqlite.engine()
        async with await writers.sqlite.session(engine) as session, asyncio.timeout(LOCK_SECONDS / 2):
            assert (await session.execute(text("SELECT 1"))).scalar() == 1
        assert writers.wrote == []
        writers.go.set()
        await asyncio.gather(*tasks.values())

    asyncio.run(tried())


def test_who_has_the_database_for_long_and_who_gets_no_turn_stands_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(prefect_sqlite, "LOCK_SECONDS", 0.2)
    monkeypatch.setattr(prefect_sqlite, "_LONG_SECONDS", 0.1)

    async def tried() -> None:
        writers = Writers(tmp_path / "one.db")
        tasks = await writers.begin("ab")
        first, second = (tasks[name] for name in writers.asked)
        with pytest.raises(OperationalError):
            await second
        writers.go.set()
        await first

    asyncio.run(tried())
    refused, long = [record.getMessage() for record in caplog.records if record.name == prefect_sqlite.__name__]
    assert refused.startswith("a call is refused: no turn at Prefect's database in 0.2 s; connections in use: 1")
    assert long.startswith("a transaction of Prefect's had its database for 0.")
