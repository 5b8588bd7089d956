"""Hosts by SSH that are lost, slow or many, on real OpenSSH servers: what is known of them, and what is done once more."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import paramiko
import psutil
import pytest
from paramiko.common import MSG_CHANNEL_EOF
from ssh_servers import Sshd, relay, running, said
from waiting import soon, until

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.transport import Mark, MarkState, TcpPort, UnixSocket
from paramedic.machine.clock import boottime
from paramedic.transports import ssh_connection
from paramedic.transports.ssh import Ssh
from paramedic.transports.ssh_shell import answer, shell

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_warm")]


def test_a_host_that_refuses_or_whose_name_nobody_knows_may_come_back(sshd: Sshd) -> None:
    with pytest.raises(TemporaryError, match="cannot be reached: .*refused"):
        said(sshd.host(port=1), "x")
    with pytest.raises(TemporaryError, match="cannot be reached"):
        said(sshd.host(address="no-such-host.invalid"), "x")


def test_a_server_that_hangs_is_given_up_at_the_deadline(sshd: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, began = sshd.host(port=silent.getsockname()[1]), boottime()
        with pytest.raises(TemporaryError, match="cannot be reached"):
            Ssh(host).run(["true"], soon(1))
        assert boottime() - began < 4


def test_many_who_wait_for_a_dead_host_wait_once(sshd: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(8) as threads:
        host, began = sshd.host(port=silent.getsockname()[1]), boottime()

        def ask(_: int) -> str:
            with pytest.raises(TemporaryError) as no:
                Ssh(host).run(["true"], soon(2))
            return str(no.value)

        assert len(list(threads.map(ask, range(8)))) == 8
        assert boottime() - began < 6


def test_a_warm_connection_is_shared_by_threads_and_made_once(sshd: Sshd) -> None:
    with relay(sshd) as way, ThreadPoolExecutor(20) as threads:
        host = sshd.through(way)
        assert sorted(threads.map(lambda n: int(said(host, str(n))), range(60))) == list(range(60))
        assert way.connections == 1


def test_a_connection_whose_server_refuses_many_at_once_is_not_taken_for_dead(require: Callable[[str], str]) -> None:
    with running(require, more="MaxSessions 0\n") as server, relay(server) as way, ThreadPoolExecutor(8) as threads:
        host = server.through(way)

        def refused(_: int) -> None:
            with pytest.raises(TemporaryError, match="opens no channel: .*MaxSessions"):
                said(host, "x")

        list(threads.map(refused, range(8)))
        assert way.connections == 1


def test_a_connection_that_died_while_nobody_looked_is_made_again(sshd: Sshd) -> None:
    with relay(sshd) as way:
        host = sshd.through(way)
        assert said(host, "first") == "first"
        way.cut()
        assert said(host, "second") == "second"
        assert way.connections == 2


def test_a_connection_that_answers_no_more_is_made_again(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_connection, "_CHANNEL_SECONDS", 0.5)
    with relay(sshd) as way:
        host = sshd.through(way)
        assert said(host, "first") == "first"
        way.hold()
        threading.Timer(1.0, way.let_go).start()
        assert said(host, "second") == "second"


def test_no_end_of_input_follows_the_end_of_a_channel(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is told so takes the connection down, with every command that runs by it."""
    sends = paramiko.Transport._send_user_message

    def held_up(transport: paramiko.Transport, message: paramiko.Message) -> None:
        data = message.asbytes()
        if data[0] == MSG_CHANNEL_EOF and threading.current_thread() is not transport:
            theirs = int.from_bytes(data[1:5], "big")
            (channel,) = (one for one in transport._channels.values() if one.remote_chanid == theirs)
            until("the server ends the channel first", lambda: channel.closed, 10)
        sends(transport, message)

    with relay(sshd) as way:
        host = sshd.through(way)
        assert said(host, "warm") == "warm"
        with monkeypatch.context() as patch:
            patch.setattr(paramiko.Transport, "_send_user_message", held_up)
            assert said(host, "quick") == "quick"
        assert [said(host, str(n)) for n in range(3)] == ["0", "1", "2"]
        assert way.connections == 1


def test_a_look_whose_host_is_lost_says_so_and_is_not_repeated(sshd: Sshd, tmp_path: Path) -> None:
    with relay(sshd) as way:
        host = sshd.through(way)
        threading.Thread(target=lambda: until("it runs", (tmp_path / "ran").exists) and way.cut(), daemon=True).start()
        with pytest.raises(TemporaryError, match="web-7 was lost"):
            Ssh(host).run(["sh", "-c", f"echo x >> {tmp_path}/ran; sleep 5"], soon())
    assert (tmp_path / "ran").read_text() == "x\n"


def test_a_command_that_is_killed_there_is_not_told_as_a_cut_connection(sshd: Sshd) -> None:
    with pytest.raises(TemporaryError, match="web-7 ended the command, .*: something killed it there"):
        Ssh(sshd.host()).run(["sh", "-c", "kill -KILL $PPID"], soon())


def test_a_command_that_goes_on_after_its_output_is_not_told_as_killed(sshd: Sshd) -> None:
    host = sshd.host()
    assert said(host, "warm") == "warm"
    words = "web-7 ended its output, and told no exit status in time: it may still be at work there"
    with pytest.raises(TemporaryError, match=words):
        answer(ssh_connection.connection(host), "exec >&- 2>&-; exec sleep 20", soon(1))
    assert said(host, "after it") == "after it", "the connection is as good as before"


def test_a_command_that_does_not_read_what_it_is_sent_is_not_told_as_killed(sshd: Sshd) -> None:
    with shell(ssh_connection.connection(sshd.host()), soon()) as sh:
        sh.send("exec sleep 20", soon())
        with pytest.raises(TemporaryError, match="web-7 did not take in time what was sent to it"):
            sh.send(f": {'x' * 5_000_000}", soon(1))


def test_what_a_login_shell_prints_by_itself_is_not_the_answer(require: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "rc").write_text("echo welcome, stranger; echo a warning >&2\n")
    with running(require, more=f"SetEnv BASH_ENV={tmp_path}/rc\n") as server:  # sshd takes the first SetEnv alone
        noisy = server.folder / "sshd_config"
        assert "BASH_ENV" in noisy.read_text()
        ended = server.transport().run(["sh", "-c", "echo out; echo err >&2"], soon())
        assert (ended.output, ended.errors) == ("out\n", "err\n")


def test_a_forked_process_has_a_connection_of_its_own(sshd: Sshd) -> None:
    with relay(sshd) as way:
        host = sshd.through(way)
        assert said(host, "parent") == "parent"
        child = os.fork()
        if child == 0:
            well = said(host, "child") == "child"
            os._exit(0 if well else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert said(host, "parent again") == "parent again"
        assert way.connections == 2


def test_a_server_with_few_sessions_is_told(require: Callable[[str], str]) -> None:
    with running(require, more="MaxSessions 1\n") as server, ThreadPoolExecutor(2) as threads:
        slow = threads.submit(server.transport().run, ["sleep", "6"], soon())
        until("it runs", lambda: ssh_connection.connection(server.host())._transport)
        time.sleep(0.5)
        with pytest.raises(TemporaryError, match="MaxSessions"):
            said(server.host(), "x")
        assert slow.result().code == 0


def test_two_hundred_hosts_are_asked_at_once(require: Callable[[str], str]) -> None:
    with running(require, address="0.0.0.0") as server:
        server.known_hosts.write_text(f"* {server.public}\n")
        hosts = [server.host(f"web-{n}", address=f"127.0.1.{n}") for n in range(1, 201)]
        with ThreadPoolExecutor(32) as threads:
            assert list(threads.map(lambda host: said(host, host.name), hosts)) == [host.name for host in hosts]
            began = boottime()
            assert list(threads.map(lambda host: said(host, host.name), hosts)) == [host.name for host in hosts]
        assert boottime() - began < 60


def test_nothing_is_loaded_for_a_host_that_is_not_there() -> None:
    code = (
        "import sys, paramedic.doors.reading, paramedic.doors.changing, paramedic.cli.host, paramedic.catalog.library\n"
    )
    code += "print([name for name in ('paramiko', 'nacl', 'bcrypt') if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout == "[]\n"


def test_a_user_without_a_place_for_marks_changes_nothing(require: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with running(require, more=f"SetEnv XDG_STATE_HOME={tmp_path}/file\n") as server:
        with pytest.raises(PermanentError, match=r"web-7: its user cannot write in .*/file/paramedic"):
            server.transport().command(["touch", str(tmp_path / "done")])
        assert server.transport().run(["echo", "a look"], soon()).output == "a look\n"


def test_a_stream_to_a_unix_socket_that_may_not_be_forwarded_is_told(require: Callable[[str], str]) -> None:
    with running(require, more="AllowStreamLocalForwarding no\nAllowTcpForwarding no\n") as server:
        for to in (UnixSocket("/run/x"), TcpPort("127.0.0.1", 80)):
            with pytest.raises(OSError, match="web-7 opens no channel"):
                server.transport().connect(to, soon())


@pytest.mark.parametrize("how", ["killed_after", "limit"])
def test_a_limit_is_kept_by_the_host_when_we_are_gone_and_its_mark_says_so(
    sshd: Sshd, tmp_path: Path, how: str
) -> None:
    act = f"act-13-{how}"
    with relay(sshd) as way:
        command = Ssh(sshd.through(way), act=act).command(
            ["sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 300"],
            **{how: timedelta(seconds=1)},  # type: ignore[arg-type]
        )
        command.start()
        pid = int(until("it runs", lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), 20))
        way.close()
    until("it was ended", lambda: sshd.transport().mark(act) == Mark(MarkState.HAPPENED, 137, limited=True), 20)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    says = "its mark there says: its time there was over, and it was ended, with exit code 137"
    assert sshd.transport().mark(act).words == says
