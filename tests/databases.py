"""Both databases, migrated and fresh for each test, and a clock that is moved by hand."""

import atexit
import ctypes
import functools
import itertools
import multiprocessing
import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import LRUCache

import paramedic.store
from paramedic.demo.world import free_port
from paramedic.store import Store
from paramedic.store.migrations import migrate
from paramedic.store.tables import metadata

Result = TypeVar("Result")

_PR_SET_PDEATHSIG = 1


class Clock:
    """Stands still until it is moved: `Store(url, now=clock.now)`."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
        self._jumped = timedelta()

    def now(self) -> datetime:
        return self._now

    def steady(self) -> float:
        """Seconds of the clock that never jumps."""
        return (self._now - self._jumped).timestamp()

    def advance(self, by: timedelta) -> None:
        self._now += by

    def jump(self, by: timedelta) -> None:
        """Somebody sets the clock."""
        self._now += by
        self._jumped += by


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL of our own. It refuses root, so under root it runs as its own user."""

    port: int
    pid: int

    def url(self, database: str, user: str = "postgres", password: str = "") -> str:
        return f"postgresql://{user}{':' + password if password else ''}@127.0.0.1:{self.port}/{database}"

    def run(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """One statement as the superuser."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as conn:
            done = conn.execute(statement)
            return done.fetchall() if done.description else []


def start_postgres(
    initdb: str, folder: Path, port: int = 0, *, durable: bool = False
) -> tuple["Postgres", subprocess.Popen[bytes]]:
    """Make a cluster in the folder, or take the one that is there, and start it on the port, or on a free one.

    `durable`: it waits for the disk, as it does where it is not told otherwise.
    """
    user = "postgres" if os.getuid() == 0 else None
    if user:
        owner = pwd.getpwnam(user)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    data = folder / "data"
    if not data.exists():
        make = [initdb, "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"]
        groups: list[str] | None = [] if user else None
        made = subprocess.run(
            make, check=False, cwd=folder, user=user, group=user, extra_groups=groups, capture_output=True, text=True
        )
        assert made.returncode == 0, made.stderr
    for _ in range(3):  # somebody else may take the free port before PostgreSQL does
        chosen_port = port or free_port()
        process = _spawn(str(Path(initdb).with_name("postgres")), folder, chosen_port, user, durable=durable)
        if _answers(chosen_port, process):
            return Postgres(chosen_port, process.pid), process
        process.kill()
        process.wait()
    pytest.fail(f"PostgreSQL did not start:\n{(folder / 'log').read_text()[-2000:]}")


def _spawn(postgres: str, folder: Path, port: int, user: str | None, *, durable: bool) -> subprocess.Popen[bytes]:
    given = {
        "fsync": "on" if durable else "off",
        "unix_socket_directories": str(folder),
        "listen_addresses": "127.0.0.1",
    }
    given |= {"max_connections": "120", "shared_buffers": "32MB", "port": str(port)}
    libc = ctypes.CDLL(None, use_errno=True)
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [postgres, "-D", str(folder / "data")]
            + [part for key, value in given.items() for part in ("-c", f"{key}={value}")],
            cwd=folder,  # ours may be closed to its user
            user=user,
            group=user,
            extra_groups=[] if user else None,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT),  # noqa: PLW1509 - one call, no lock
        )


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    import psycopg

    until = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < until:
        try:
            psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", connect_timeout=5).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return True
    return False


def stop_postgres(process: subprocess.Popen[bytes]) -> None:
    """Fast shutdown: sessions are cut, data is whole."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


@pytest.fixture
def postgres_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's own user can enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="paramedic-pg-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(require: Callable[[str], str]) -> Iterator[Postgres]:
    """One PostgreSQL for the session, with a migrated database `template_paramedic` to copy from."""
    initdb = require("initdb")
    folder = Path(tempfile.mkdtemp(prefix="paramedic-pg-"))
    try:
        server, process = start_postgres(initdb, folder)
        try:
            server.run("CREATE DATABASE template_paramedic")
            migrate(server.url("template_paramedic"))
            yield server
        finally:
            stop_postgres(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def _migrated_file() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="paramedic-sqlite-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    migrate(f"sqlite:///{folder}/template.db")
    return folder / "template.db"


@pytest.fixture(scope="session")
def sqlite_template() -> Path:
    """A migrated SQLite file to copy from."""
    return _migrated_file()


def migrated(file: Path) -> str:
    """Make this file a migrated SQLite database, in a hundredth of the time that the migrations take; its URL."""
    shutil.copy(_migrated_file(), file)
    return f"sqlite:///{file}"


_counter = itertools.count(1)


#: How the store prepares a connection to SQLite where its promises hold on a machine that loses power.
prepare_sqlite = paramedic.store._prepare_sqlite


@pytest.fixture(autouse=True, scope="session")
def _no_waiting_for_the_disk() -> Iterator[None]:
    """No test cuts the power: nothing that this process writes waits until the disk has it. Other processes' writes do."""

    def unsynced(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
        prepare_sqlite(connection, entry)
        connection.execute("PRAGMA synchronous=OFF")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paramedic.store, "_prepare_sqlite", unsynced)
        patch.setattr(os, "fsync", lambda _: None)
        yield


class _CompiledOnce(LRUCache[Any, Any]):
    """Statements as one kind of database reads them, whichever engine's dialect compiled them first."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_by_name(key), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_by_name(key), value)


def _by_name(key: Any) -> Any:
    return (key[0].name, *key[1:])


@pytest.fixture(autouse=True, scope="session")
def _statements_compiled_once() -> Iterator[None]:
    """Each test has an engine of its own; to compile the same statements again for each took a third of the store's tests."""
    cache = _CompiledOnce(2000)

    def create(*args: Any, **kwargs: Any) -> Engine:
        engine = create_engine(*args, **kwargs)
        engine._compiled_cache = cache
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paramedic.store, "create_engine", create)
        yield


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """Which of the two databases this test runs on."""
    name: str = request.param
    return name


@pytest.fixture
def empty_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = f"empty_{next(_counter)}"
    server.run(f"CREATE DATABASE {name}")
    yield server.url(name)
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def store_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database with nothing in it. Its tables must be left as they are: `own_url` is there to be broken."""
    if backend == "sqlite":
        file = tmp_path / "paramedic.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), file)
        yield f"sqlite:///{file}"
        return
    emptying: str = request.getfixturevalue("emptying")
    server: Postgres = request.getfixturevalue("postgres")
    yield server.url("paramedic")
    server.run(emptying, "paramedic")


@pytest.fixture
def own_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database that the test may break."""
    if backend == "sqlite":
        file = tmp_path / "own.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), file)
        yield f"sqlite:///{file}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = f"own_{next(_counter)}"
    server.run(f"CREATE DATABASE {name} TEMPLATE template_paramedic")
    yield server.url(name)
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def emptying(postgres: Postgres) -> str:
    """What makes the shared database `paramedic` new again, in less than the time of a CREATE DATABASE."""
    postgres.run("CREATE DATABASE paramedic TEMPLATE template_paramedic")
    kept = ("meta", "alembic_version")
    deletes = [f"DELETE FROM {table.name};" for table in reversed(metadata.sorted_tables) if table.name not in kept]
    restarts = "SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S';"
    others = "datname = 'paramedic' AND pid <> pg_backend_pid()"
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others};"
    return "".join([cut, "SET session_replication_role = replica;", *deletes, restarts])


def edited(file: Path, *statements: str) -> None:
    """As somebody does who can edit the SQLite database: without its triggers."""
    with closing(sqlite3.connect(file)) as db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            db.execute(statement)
        db.commit()


@pytest.fixture
def clock() -> Clock:
    """A clock that is moved by hand."""
    return Clock()


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A store by the database's own clock."""
    store = Store(store_url)
    yield store
    store.close()


@pytest.fixture
def timed(store_url: str, clock: Clock) -> Iterator[Store]:
    """A store by the clock that is moved by hand."""
    store = Store(store_url, now=clock.now)
    yield store
    store.close()


#: Children come from a server that has imported what this module and the tests' helpers do, and opened nothing: a start costs
#: 20 milliseconds. What is not named here is imported by each child anew.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(
    [
        "pytest",
        "psycopg",
        "sqlalchemy.dialects.postgresql.psycopg",
        "alembic.command",
        "paramedic.demo.world",
        "paramedic.paging",
        "paramedic.store.fingerprints",
        "paramedic.store.lifecycle",
    ]
)

_CHILD_SECONDS = 60


def at_once(count: int, work: Callable[..., Result], *args: object) -> list[Result]:
    """Run `work(*args, number)` in so many processes, all let go together; their results, by number."""
    gate = processes.Barrier(count)
    ends = []
    children = []
    for number in range(count):
        here, there = processes.Pipe(duplex=False)
        child = processes.Process(target=_child, args=(there, gate, work, (*args, number)), daemon=True)
        child.start()
        there.close()
        ends.append(here)
        children.append(child)
    results = []
    for here in ends:
        assert here.poll(_CHILD_SECONDS), "a child did not answer"
        result, fault = here.recv()
        assert fault is None, fault
        results.append(result)
    for child in children:
        child.join(_CHILD_SECONDS)
    return results


def _child(there: Connection, gate: Barrier, work: Callable[..., object], args: tuple[object, ...]) -> None:
    # So many connect and write at full speed nowhere else: on a busy machine one of them may draw no turn for long.
    paramedic.store.LOCK_WAIT = timedelta(seconds=_CHILD_SECONDS)
    paramedic.store.frozen_connections.CONNECT_SECONDS = _CHILD_SECONDS
    try:
        gate.wait(_CHILD_SECONDS)
        there.send((work(*args), None))
    except BaseException:
        there.send((None, traceback.format_exc()))
