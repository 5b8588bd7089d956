"""The way to a real PostgreSQL: it is cut, silent, refused, goes by a pooler; and who logs in there with what."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from postgres_sessions import PATIENCE, Cut, Sessions, alive, end, identity, once_idle, pid
from waiting import until

from paramedic.change.gathering import gather
from paramedic.demo.world import free_port
from paramedic.doors import reading
from paramedic.errors import OutcomeUnknown, PermanentError, TemporaryError
from paramedic.integrations.targets import postgres as kind
from paramedic.integrations.targets.postgres import Reader
from paramedic.machine.clock import boottime, utc_now
from paramedic.remediation.host import Host, SshAccess
from paramedic.settings import Settings
from paramedic.text import redaction
from paramedic.transports.local import Local
from paramedic.transports.ssh import Ssh

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("patience")]


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


def test_where_it_falls_silent_what_was_seen_by_the_default_time_is_kept(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "transport", lambda *_: Local())
    sessions.begin()
    with closing(Cut(sessions.server.port, b"pg_prepared_xacts", silent=True)) as way:
        silent = sessions.target(address=f"postgresql://watch@127.0.0.1:{way.port}?sslmode=disable")
        began = boottime()
        [look] = gather(silent, ("sessions",), since=utc_now(), patience=Settings().evidence_within)
        assert boottime() - began < 10  # a busy machine; it is silent for ever
    assert look.piece is not None, look.fault
    assert "1 idle in transaction" in look.piece.body
    [why] = look.unseen
    assert why.startswith("the rest could not be seen: ")


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
