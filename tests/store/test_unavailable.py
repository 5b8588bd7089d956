"""A store that does not answer says so in seconds, in words, and has written nothing by halves."""

import gc
import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from databases import Postgres, start_postgres, stop_postgres
from incident_states import unwritable
from sqlalchemy import event
from sqlalchemy.util import LRUCache
from store_states import alert, look_at_the_trail, opened, recorded

from paramedic.store import Store, StoreUnavailable, deliveries, frozen_connections, inbox, incidents, messages
from paramedic.store.migrations import migrate

#: What a caller may have to wait: 5 s for a lock, 3 s for a connection, and a slow machine.
PATIENCE_SECONDS = 8.0


def receive(store: Store) -> list[str]:
    return inbox.receive(store, [alert()], source="alertmanager", sender="prometheus")


def record(store: Store) -> int:
    with store.record() as tx:
        return opened(tx)


def read(store: Store) -> int:
    with store.read() as tx:
        return len(incidents.listed(tx))


def page(store: Store) -> None:
    with store.write() as tx:
        messages.queue_internal_alert(tx, subject="s", body="b", same_within_minutes=10)


def unavailable(store: Store, *uses: Callable[[Store], object]) -> list[str]:
    """Each of these, at the same time, says that the store is unavailable, in time; what they said."""

    def words_of(use: Callable[[Store], object]) -> str:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable) as caught:
            use(store)
        assert time.monotonic() - began < PATIENCE_SECONDS
        return str(caught.value)

    with ThreadPoolExecutor(len(uses)) as threads:
        return list(threads.map(words_of, uses))


def nothing_was_written(store: Store) -> None:
    assert recorded(store) == []
    assert read(store) == 0
    with store.read() as tx:
        assert inbox.waiting(tx) == []
        assert deliveries.due(tx) == []


# --- locked ---------------------------------------------------------------------------------------------------------


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Somebody holds what a writer needs."""
    if url.startswith("sqlite"):
        with unwritable(url):
            yield
    else:
        with psycopg.connect(url) as conn:
            conn.execute("LOCK TABLE inbox, incidents, trail IN ACCESS EXCLUSIVE MODE")
            yield


def test_a_locked_store_is_unavailable_and_then_works(store_url: str, store: Store) -> None:
    assert read(store) == 0
    with locked(store_url):
        for words in unavailable(store, receive, record):
            assert "lock" in words
    nothing_was_written(store)
    receive(store)
    record(store)
    assert look_at_the_trail(store).verified


def test_a_page_does_not_wait_for_the_trail(postgres: Postgres, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("emptying")
    store = Store(postgres.url("paramedic"))
    holding, done = threading.Event(), threading.Event()

    def hold_the_trail() -> None:
        with store.record():
            holding.set()
            done.wait(20)

    holder = threading.Thread(target=hold_the_trail)
    holder.start()
    assert holding.wait(5)
    began = time.monotonic()
    page(store)
    receive(store)
    assert time.monotonic() - began < 2
    with store.read() as tx:
        assert tx.conn.exec_driver_sql("SHOW lock_timeout").scalar_one() == "5s"
    event.listen(store.engine, "begin", lambda conn: conn.exec_driver_sql("SET LOCAL lock_timeout = '200ms'"))
    assert "lock timeout" in unavailable(store, record)[0]
    done.set()
    holder.join()
    store.close()
    postgres.run(request.getfixturevalue("emptying"), "paramedic")


def test_when_every_connection_is_taken_the_store_says_so(
    tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(f"sqlite:///{shutil.copyfile(sqlite_template, tmp_path / 'paramedic.db')}")
    monkeypatch.setattr(store.engine.pool, "_timeout", 0.2)
    with ThreadPoolExecutor(15) as threads:
        inside, done = threading.Barrier(16), threading.Event()

        def look() -> None:
            with store.read():
                inside.wait(20)
                done.wait(20)

        for _ in range(15):
            threads.submit(look)
        inside.wait(20)
        try:
            assert "every connection is taken" in unavailable(store, read)[0]
        finally:
            done.set()
    assert read(store) == 0
    store.close()


def test_a_store_that_was_closed_connects_again_and_compiles_nothing_again(store: Store) -> None:
    store.engine._compiled_cache = LRUCache(100)  # its own, as a process has, and empty
    assert read(store) == 0
    engine, compiled = store.engine, len(store.engine._compiled_cache)
    assert compiled > 0
    store.close()
    assert engine.pool.checkedin() == 0, "every connection was closed"
    assert read(store) == 0
    assert (store.engine, len(engine._compiled_cache or ())) == (engine, compiled)


# --- PostgreSQL gone ------------------------------------------------------------------------------------------------


@pytest.fixture
def mortal(require: Callable[[str], str], postgres_folder: Path) -> Iterator["Mortal"]:
    """A PostgreSQL that the test may stop."""
    server = Mortal(require("initdb"), postgres_folder)
    yield server
    if server.process.poll() is None:
        server.resume()
        stop_postgres(server.process)


class Mortal:
    def __init__(self, initdb: str, folder: Path) -> None:
        self.initdb = initdb
        self.folder = folder
        self.server, self.process = start_postgres(initdb, folder)
        self.url = self.server.url("postgres")
        migrate(self.url)

    def stop(self) -> None:
        stop_postgres(self.process)

    def start(self) -> None:
        self.server, self.process = start_postgres(self.initdb, self.folder, self.server.port)

    def family(self) -> list[psutil.Process]:
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def freeze(self) -> None:
        for process in self.family():
            process.suspend()

    def resume(self) -> None:
        for process in self.family():
            with suppress(psutil.NoSuchProcess):  # a session may end meanwhile
                process.resume()


def test_a_postgresql_that_stops_is_unavailable_and_then_works(mortal: Mortal) -> None:
    store = Store(mortal.url)
    fresh = Store(mortal.url)
    assert read(store) == 0
    with pytest.raises(StoreUnavailable), store.record() as tx:  # noqa: PT012 - it stops in the middle
        opened(tx)
        mortal.stop()
        opened(tx, target="web-2/api")
    unavailable(store, receive, record, read)
    unavailable(fresh, read)
    with pytest.raises(StoreUnavailable):
        migrate(mortal.url)
    mortal.start()
    nothing_was_written(store)
    receive(store)
    record(store)
    assert read(fresh) == 1
    assert look_at_the_trail(store).verified
    store.close()
    fresh.close()


def test_a_commit_that_finds_no_postgresql_has_written_nothing(mortal: Mortal) -> None:
    store = Store(mortal.url)
    with pytest.raises(StoreUnavailable), store.record() as tx:  # noqa: PT012 - it stops in the middle
        opened(tx)
        mortal.stop()
    mortal.start()
    nothing_was_written(store)
    store.close()


def test_a_frozen_postgresql_is_unavailable_and_then_works(mortal: Mortal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen_connections, "SECONDS", 1.0)
    store = Store(mortal.url)
    with pytest.raises(StoreUnavailable, match="not answered for 1 s"), store.record() as tx:  # noqa: PT012 - in the middle
        opened(tx)
        mortal.freeze()
        opened(tx, target="web-2/api")
    unavailable(store, record, read)
    mortal.resume()
    nothing_was_written(store)
    record(store)
    assert look_at_the_trail(store).verified
    store.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the lost ones cannot be rolled back
def test_it_is_unavailable_too_while_the_garbage_collector_ends_lost_transactions(
    mortal: Mortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frozen_connections, "SECONDS", 1.0)
    store, losing = Store(mortal.url), Store(mortal.url)

    class Lost:
        """A transaction that nobody ends: only the garbage collector finds it."""

        def __init__(self) -> None:
            self.cycle = self
            self.transaction = losing.read()
            self.transaction.__enter__()

    def collect_soon() -> None:
        time.sleep(0.3)  # until the statement below waits
        gc.enable()
        parked.acquire()  # and collects nothing itself

    parked, before = threading.Lock(), gc.get_threshold()
    parked.acquire()
    collector = threading.Thread(target=collect_soon)
    try:
        with pytest.raises(StoreUnavailable, match="not answered"), store.record() as tx:  # noqa: PT012 - in the middle
            opened(tx)
            gc.disable()
            gc.set_threshold(1, 1, 1)
            for _ in range(4):
                Lost()
            mortal.freeze()
            collector.start()
            opened(tx, target="web-2/api")
    finally:
        gc.set_threshold(*before)
        parked.release()
        mortal.resume()
        collector.join()
        gc.enable()
    record(store)
    store.close()
    losing.close()


def test_a_postgresql_that_only_reads_is_unavailable_for_writers(mortal: Mortal) -> None:
    mortal.server.run("ALTER SYSTEM SET default_transaction_read_only = on")
    mortal.server.run("SELECT pg_reload_conf()")
    until = time.monotonic() + 10
    while mortal.server.run("SHOW default_transaction_read_only") != [("on",)]:
        assert time.monotonic() < until
    store = Store(mortal.url)
    assert read(store) == 0
    assert all("read-only" in words for words in unavailable(store, receive, record))
    store.close()


# --- the disk is full -----------------------------------------------------------------------------------------------


def test_a_full_disk_is_unavailable_and_then_works(
    small_disk: Path, fill: Callable[[], Path], sqlite_template: Path
) -> None:
    file = small_disk / "paramedic.db"
    shutil.copyfile(sqlite_template, file)
    store = Store(f"sqlite:///{file}")
    receipts = receive(store)
    number = record(store)
    ballast = fill()
    written: list[str] = []
    words = ""
    while not words:  # what the log has room for is still taken, and is then there
        try:
            written += receive(store)
        except StoreUnavailable as error:
            words = str(error)
    assert "full" in words
    for use in (page, lambda store: inbox.receive(store, [alert()] * 50, source="alertmanager", sender="a")):
        unavailable(store, use)
    with pytest.raises(StoreUnavailable), store.record() as tx:  # noqa: PT012 - more than the log has room for
        for _ in range(50):
            incidents.note(tx, number, by="ada", text="x" * 2000)
    with store.read() as tx:
        assert [receipt.id for receipt in inbox.waiting(tx)] == receipts + written
    assert look_at_the_trail(store).verified
    assert recorded(store) == ["incident.opened", "attempt.raised"]
    ballast.unlink()
    receive(store)
    with store.record() as tx:
        incidents.note(tx, number, by="ada", text="there is room again")
    assert look_at_the_trail(store).verified
    store.close()
    assert sqlite3.connect(file).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/missing/paramedic.db")
    assert "unable to open" in unavailable(store, read)[0]
    store.close()


def test_a_killed_postgresql_loses_nothing_that_was_committed(mortal: Mortal) -> None:
    store = Store(mortal.url)
    receipts = receive(store)
    number = record(store)
    os.kill(mortal.process.pid, signal.SIGQUIT)  # what a crash does: no shutdown checkpoint, recovery from the log
    mortal.process.wait(20)
    mortal.start()
    with store.read() as tx:
        assert [receipt.id for receipt in inbox.waiting(tx)] == receipts
        assert incidents.get(tx, number).attempt == 1
    assert look_at_the_trail(store).verified
    store.close()
