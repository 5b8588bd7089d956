"""Sessions of a real PostgreSQL that are idle in a transaction: which are seen, which are ended, and which never."""

import itertools
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from databases import Postgres
from waiting import until

from paramedic.demo.world import free_port
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.integrations.targets import postgres as kind
from paramedic.integrations.targets.postgres import Changer, Reader, Words
from paramedic.kinds import postgres_activity as activity
from paramedic.machine.clock import boottime
from paramedic.remediation.host import Host, SshAccess
from paramedic.remediation.target import Identity, Target
from paramedic.text import redaction
from paramedic.transports.local import Local
from paramedic.transports.ssh import Ssh

pytestmark = pytest.mark.real

#: A session counts once it has been idle for so long.
LONG = timedelta(milliseconds=150)

#: Each with what it may; `watch` is Paramedic's.
ROLES = """
    CREATE ROLE watch LOGIN; GRANT pg_monitor, pg_signal_backend TO watch;
    CREATE ROLE blind LOGIN; GRANT pg_signal_backend TO blind;
    CREATE ROLE looker LOGIN; GRANT pg_monitor TO looker;
    CREATE ROLE shop LOGIN; CREATE ROLE etl LOGIN; CREATE ROLE boss LOGIN SUPERUSER; CREATE ROLE copier LOGIN REPLICATION;
"""

_number = itertools.count(1)


class Sessions:
    """Sessions of applications, in one database of their own."""

    def __init__(self, server: Postgres, stack: ExitStack) -> None:
        self.server, self._stack = server, stack
        self.database = f"idle_{next(_number)}"
        server.run(f"CREATE DATABASE {self.database}")
        server.run("CREATE TABLE orders (id int, note text); GRANT ALL ON orders TO PUBLIC", self.database)
        server.run("INSERT INTO orders VALUES (1)", self.database)

    def begin(self, role: str = "shop", name: str = "till", statement: str = "SELECT 1") -> "psycopg.Connection[Any]":
        """A session that is idle in a transaction from now on."""
        connection = psycopg.connect(self.server.url(self.database, role), application_name=name)
        self._stack.callback(connection.close)
        connection.execute(statement)
        return connection

    def target(self, role: str = "watch", address: str = "", **words: Any) -> Target:
        address = address or f"postgresql://{role}@127.0.0.1:{self.server.port}"
        written = Words(**{"database": self.database, "address": address, **words})
        written = written.model_copy(update={"idle_in_transaction": LONG})
        return Target(
            f"db-1/postgres:{self.database}", "shop", "db-1", "postgres", self.database, address, words=written
        )


#: A busy machine takes longer than a look of the product may.
PATIENCE = timedelta(seconds=60)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "LOOK", PATIENCE)


@pytest.fixture(scope="module")
def server(postgres: Postgres) -> Postgres:
    postgres.run(ROLES)
    return postgres


@pytest.fixture
def sessions(server: Postgres) -> Iterator[Sessions]:
    with ExitStack() as stack:
        made = Sessions(server, stack)
        yield made
    server.run(f"DROP DATABASE {made.database} WITH (FORCE)")


def alive(connection: "psycopg.Connection[Any]") -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def pid(connection: "psycopg.Connection[Any]") -> int:
    return connection.info.backend_pid


def identity(target: Target) -> Identity:
    return Reader(target, Local(), PATIENCE).identity()


def once_idle(target: Target, count: int) -> Identity:
    """The identity once so many sessions have been idle for too long."""
    words = f"{count} session{'s' if count > 1 else ''} idle in a transaction"
    return until(words, lambda: found if (found := identity(target)).state.startswith(words) else None)


def end(target: Target, expected: Identity, last_look: Callable[[], None] = lambda: None) -> tuple[Changer, Identity]:
    changer = Changer(target, Local(), PATIENCE)
    return changer, changer.end_idle_in_transaction(expected, last_look)


def test_one_that_is_idle_too_long_is_seen_ended_and_gone(sessions: Sessions) -> None:
    target = sessions.target()
    assert identity(target).state == "up"
    abandoned = sessions.begin()
    number, before = pid(abandoned), once_idle(target, 1)
    assert not kind.running(before)
    changer, after = end(target, before)
    assert not alive(abandoned)
    assert kind.running(after)
    assert kind.restarted(before, after), "it is settled by what is there now"
    assert (
        f"ended 1 session that was idle in a transaction, and the server has it no more: pid {number} (idle for"
        in changer.did
    )
    gone = sessions.server.run(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {number}")
    assert gone == [(0,)]


def test_those_that_are_idle_for_longest_are_ended_first_and_no_more_than_at_most(sessions: Sessions) -> None:
    target = sessions.target(at_most=2)
    opened = [sessions.begin() for _ in range(3)]
    before = once_idle(target, 3)
    changer, after = end(target, before)
    assert [alive(one) for one in opened] == [False, False, True]
    assert "1 more may be ended and were not" in changer.did
    assert not kind.running(after)


def test_nobody_s_session_is_ended_that_must_not_be(sessions: Sessions) -> None:
    target = sessions.target(spare={"roles": ["etl"], "applications": ["nightly-"]})
    never = {
        "a superuser's": sessions.begin("boss"),
        "of a role that may replicate": sessions.begin("copier"),
        "Paramedic's own, or of its role": sessions.begin("watch"),
        "Paramedic's store": sessions.begin("shop", "paramedic-store"),
        "spared by its role": sessions.begin("etl"),
        "spared by its application": sessions.begin("shop", "nightly-export"),
        "a dump, which waits for its workers": sessions.begin("boss", "pg_dump"),
    }
    theirs = sessions.begin()
    number = f"pid {pid(theirs)} "
    ended, after = end(target, once_idle(target, 5))
    assert {why: alive(one) for why, one in never.items()} == dict.fromkeys(never, True)
    assert number in ended.did
    assert not alive(theirs)
    assert not kind.running(after), "a superuser's session is a person's"
    left = once_idle(target, 4)
    with pytest.raises(Refused, match="1 a superuser's, 1 of a role that may replicate") as refused:
        end(target, left)
    assert "2 Paramedic's own" in str(refused.value)


def test_copies_and_spared_sessions_are_no_fault(sessions: Sessions) -> None:
    target = sessions.target(spare={"roles": ["etl"]})
    sessions.begin("boss", "pg_dump")
    sessions.begin("etl")
    witness = sessions.begin()
    once_idle(target, 1)
    witness.rollback()
    assert identity(target).state == "up"


def test_a_long_transaction_that_is_at_work_is_not_idle(sessions: Sessions) -> None:
    """A batch of short statements: its transaction is old, and it has just done something."""
    target, batch = sessions.target(), sessions.begin()
    once_idle(target, 1)
    began = boottime()
    batch.execute("SELECT 2")
    values, why = kind.sessions(target, Local())
    assert values["idle_for"] <= boottime() - began
    assert f"pid {pid(batch)} is idle in a transaction" in why
    until("it is idle again", lambda: not kind.running(identity(target)))
    batch.commit()
    assert kind.sessions(target, Local()) == ({"idle_for": 0.0}, "no session is idle in a transaction")


def test_a_failed_transaction_that_is_left_open_is_idle_too(sessions: Sessions) -> None:
    target, failed = sessions.target(), sessions.begin()
    with suppress(psycopg.Error):
        failed.execute("SELECT 1 / 0")
    end(target, once_idle(target, 1))
    assert not alive(failed)


def test_one_that_went_on_after_the_last_look_is_left_alone(sessions: Sessions) -> None:
    target, goes_on, abandoned = sessions.target(), sessions.begin(), sessions.begin()
    changer, _ = end(target, once_idle(target, 2), lambda: goes_on.execute("SELECT 2") and None)
    assert alive(goes_on)
    assert not alive(abandoned)
    assert "ended 1 session" in changer.did


def test_where_all_went_on_nothing_is_ended_and_it_says_so(sessions: Sessions) -> None:
    target, goes_on = sessions.target(), sessions.begin()
    with pytest.raises(TargetChanged, match="went on, or ended by itself"):
        end(target, once_idle(target, 1), goes_on.commit)
    assert alive(goes_on)


def test_another_session_than_the_judged_one_is_not_ended(sessions: Sessions) -> None:
    target, judged, other = sessions.target(), sessions.begin(), sessions.begin()
    before = once_idle(target, 2)
    judged.rollback()
    with pytest.raises(TargetChanged, match=f"was pid {pid(judged)} .*, and is pid {pid(other)}"):
        end(target, before, lambda: pytest.fail("nothing is looked at last"))
    assert alive(other)


def test_the_last_look_stops_it(sessions: Sessions) -> None:
    target, abandoned = sessions.target(), sessions.begin()

    def no() -> None:
        raise Refused("the claim is lost")

    with pytest.raises(Refused, match="the claim is lost"):
        end(target, once_idle(target, 1), no)
    assert alive(abandoned)


@pytest.mark.parametrize("other", ["pid", "backend_start", "xact_start", "state_change"])
def test_a_session_is_compared_in_the_statement_that_ends_it(sessions: Sessions, other: str) -> None:
    target, abandoned, decoy = sessions.target(), sessions.begin(), sessions.begin()
    once_idle(target, 2)
    deadline = boottime() + PATIENCE.total_seconds()
    with Local().database(target.words.connection, deadline) as database:
        first, second = activity.idle_in_transaction(database, target.words.scope, deadline)
        fields = {name: getattr(first, name) for name in activity.Idle.__slots__} | {other: getattr(second, other)}
        assert not activity.end(database, target.words.scope, activity.Idle(**fields), deadline)
        assert (alive(abandoned), alive(decoy)) == (True, True)


def test_other_databases_are_not_looked_at_and_a_server_has_them_all(sessions: Sessions, server: Postgres) -> None:
    with ExitStack() as stack:
        other = Sessions(server, stack)
        abandoned = other.begin()
        once_idle(other.target(), 1)
        assert identity(sessions.target()).state == "up"
        whole = sessions.target(database=None, server="main")
        end(whole, once_idle(whole, 1))
        assert not alive(abandoned)
    server.run(f"DROP DATABASE {other.database} WITH (FORCE)")


def test_without_the_right_to_see_nothing_is_called_well(sessions: Sessions) -> None:
    target = sessions.target("blind")
    sessions.begin()
    with pytest.raises(
        PermanentError, match='the role "blind" sees only its own sessions: GRANT pg_monitor TO "blind"'
    ):
        identity(target)
    shown = kind.EVIDENCE["sessions"](target, Local())
    assert 'not seen: what sessions of other roles do. GRANT pg_monitor TO "blind" shows it' in shown
    assert "1 not shown to us" in shown


def test_without_the_right_to_end_nothing_is_ended_and_the_grant_is_named(sessions: Sessions) -> None:
    target, abandoned = sessions.target("looker"), sessions.begin()
    grant = 'GRANT pg_signal_backend TO "looker"'
    with pytest.raises(Refused, match="1 of a role that ours may not signal; GRANT pg_signal_backend"):
        end(target, once_idle(target, 1))
    assert alive(abandoned)
    assert grant in str(kind.forbidden(target, Local(), "end_idle_in_transaction"))
    assert grant in kind.EVIDENCE["queries"](target, Local())
    assert kind.forbidden(sessions.target(), Local(), "end_idle_in_transaction") is None


def test_evidence_says_who_blocks_whom_and_shows_no_value(sessions: Sessions) -> None:
    target = sessions.target()
    holder = sessions.begin(statement="UPDATE orders SET note = 'card 4929-1' WHERE id = 1")
    waiter = psycopg.connect(sessions.server.url(sessions.database, "etl"), application_name="nightly")
    waiting = threading.Thread(target=_quietly, args=(waiter, "UPDATE orders SET note = 'hunter2'"), daemon=True)
    waiting.start()
    until("one waits", lambda: "waiting for a lock: 1" in kind.EVIDENCE["locks"](target, Local()))
    once_idle(target, 1)
    locks, running, shown = (kind.EVIDENCE[name](target, Local()) for name in ("locks", "queries", "sessions"))
    assert f"pid {pid(holder)}, role shop, till: blocks 1, idle in transaction" in locks
    assert f"pid {pid(waiter)}, role etl, nightly: for" in locks
    assert f"which is kept by pid {pid(holder)}" in locks
    assert f"pid {pid(waiter)}, role etl, nightly: for" in running
    assert "UPDATE orders SET note = ? WHERE id = ?" in locks
    assert "may be ended" in shown
    assert f"pid {pid(holder)}, role shop, till, from 127.0.0.1" in shown
    assert not any(secret in text for secret in ("hunter2", "4929") for text in (locks, running, shown))
    end(target, once_idle(target, 1))
    until("it waits no more", lambda: not waiting.is_alive())
    assert kind.EVIDENCE["locks"](target, Local()) == "no session waits for a lock"
    waiter.close()


def _quietly(connection: "psycopg.Connection[Any]", statement: str) -> None:
    with suppress(psycopg.Error):
        connection.execute(statement)


class Cut:
    """A way to the server that is cut once a statement with these bytes was sent on, before its answer."""

    def __init__(self, port: int, behind: bytes) -> None:
        self._port, self._behind = port, behind
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                threading.Thread(target=self._back, args=(server, client), daemon=True).start()
                threading.Thread(target=self._on, args=(client, server), daemon=True).start()

    def _on(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65_536):
                if self._behind in data:
                    client.shutdown(socket.SHUT_RDWR)
                    server.sendall(data)
                    return
                server.sendall(data)
        server.close()

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65_536):
                client.sendall(data)


def test_where_the_connection_is_cut_after_the_send_the_outcome_is_unknown_and_the_next_look_tells(
    sessions: Sessions,
) -> None:
    target, abandoned = sessions.target(), sessions.begin()
    before = once_idle(target, 1)
    with closing(Cut(sessions.server.port, b"pg_terminate_backend")) as way:
        cut = sessions.target(address=f"postgresql://watch@127.0.0.1:{way.port}?sslmode=disable")
        with pytest.raises(
            OutcomeUnknown, match=f"was told to end pid {pid(abandoned)} .*, and what came of the last is open"
        ):
            end(cut, before)
    until("it is gone", lambda: kind.restarted(before, identity(target)))
    assert not alive(abandoned)


def test_where_it_is_cut_before_nothing_was_sent(sessions: Sessions) -> None:
    target, abandoned = sessions.target(), sessions.begin()
    before = once_idle(target, 1)
    with closing(Cut(sessions.server.port, b"pg_stat_activity")) as way:
        cut = sessions.target(address=f"postgresql://watch@127.0.0.1:{way.port}?sslmode=disable")
        with pytest.raises(TemporaryError):
            end(cut, before)
    assert not kind.restarted(before, identity(target))
    assert alive(abandoned)


def test_a_server_that_is_silent_is_waited_for_until_the_deadline_alone(sessions: Sessions) -> None:
    target = sessions.target()
    with Local().database(target.words.connection, boottime() + PATIENCE.total_seconds()) as database:
        [mine] = database.rows("SELECT pg_backend_pid() AS pid", deadline=boottime() + PATIENCE.total_seconds())
        os.kill(mine["pid"], signal.SIGSTOP)
        try:
            with pytest.raises(TemporaryError, match="did not answer in time"):
                database.rows("SELECT 1", deadline=boottime() + 0.3)
        finally:
            os.kill(mine["pid"], signal.SIGCONT)


def test_a_port_that_takes_connections_and_says_nothing_is_given_up_too(sessions: Sessions) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = sessions.target(address=f"postgresql://watch@127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(
            TemporaryError, match="did not answer in time"
        ):  # libpq's own least time-out says it otherwise
            Reader(target, Local(), timedelta(seconds=0.3)).identity()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql://nobody@127.0.0.1:{port}", 'role "nobody" does not exist'),
        ("service=not-there", "not-there"),
        ("postgresql://watch@127.0.0.1:{port}?bogus=1", "bogus"),
    ],
)
def test_what_no_other_try_mends_is_permanent(sessions: Sessions, address: str, words: str) -> None:
    with pytest.raises(PermanentError, match=words):
        identity(sessions.target(address=address.format(port=sessions.server.port)))


def test_nobody_there_is_not_down_but_unknown(sessions: Sessions) -> None:
    with pytest.raises(TemporaryError):
        identity(sessions.target(address=f"postgresql://watch@127.0.0.1:{free_port()}"))


def test_our_session_reads_alone_and_finds_nothing_but_the_server_s_own(sessions: Sessions) -> None:
    deadline = boottime() + PATIENCE.total_seconds()
    with Local().database(sessions.target("boss").words.connection, deadline) as database:
        with pytest.raises(PermanentError, match="read-only transaction"):
            database.rows("CREATE TABLE public.mine ()", deadline=deadline)
        [row] = database.rows("SELECT current_setting('search_path') AS path", deadline=deadline)
    assert row["path"] == "pg_catalog"


def test_a_password_comes_from_a_file_and_is_known_as_a_secret(sessions: Sessions, tmp_path: Path) -> None:
    file = tmp_path / "pgpass"
    file.write_text(f"127.0.0.1:{sessions.server.port}:*:watch:correct-horse-battery\n")
    file.chmod(0o600)
    address = f"postgresql://watch@127.0.0.1:{sessions.server.port}?passfile={file}"
    try:
        assert identity(sessions.target(address=address)).state == "up"
        assert redaction.redact("it is correct-horse-battery") == "it is [secret]"
    finally:
        redaction.forget_all()


def test_a_service_file_says_where_it_is(sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "services.conf"
    file.write_text(f"[orders]\nhost=127.0.0.1\nport={sessions.server.port}\nuser=watch\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    target, abandoned = sessions.target(address="service=orders"), sessions.begin()
    end(target, once_idle(target, 1))
    assert not alive(abandoned)


def test_an_address_of_this_machine_is_none_of_a_host_that_is_reached_by_ssh(sessions: Sessions) -> None:
    there = Ssh(Host("db-1", SshAccess("192.0.2.1", "paramedic", agent="")))
    with pytest.raises(PermanentError, match="is on the machine that Paramedic runs on, and db-1 is another"):
        Reader(sessions.target(), there).identity()


@pytest.fixture
def pooler(sessions: Sessions, require: Callable[[str], str], tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """Starts a PgBouncer before the server that ignores these settings of its clients; its port."""
    program, started = require("pgbouncer"), []

    def start(ignored: str) -> int:
        port, config = free_port(), tmp_path / "pgbouncer.ini"
        config.write_text(
            f"[databases]\n* = host=127.0.0.1 port={sessions.server.port} user=boss\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n"
            f"ignore_startup_parameters = {ignored}\n"
        )
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        tmp_path.chmod(0o755)
        started.append(
            subprocess.Popen([program, *user, str(config)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        )
        until("the pooler listens", lambda: _listens(port))
        return port

    yield start
    for process in started:
        process.kill()
        process.wait(10)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.mark.parametrize("ignored", ["extra_float_digits", "extra_float_digits, options"])
def test_a_pooler_is_refused(sessions: Sessions, pooler: Callable[[str], int], ignored: str) -> None:
    """Through it our session would be one that applications get after us, and its settings nobody's."""
    target = sessions.target(address=f"postgresql://boss@127.0.0.1:{pooler(ignored)}")
    with pytest.raises(PermanentError, match="leads to a pooler, such as PgBouncer"):
        identity(target)
