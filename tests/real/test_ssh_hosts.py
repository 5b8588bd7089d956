"""Hosts by SSH, on real OpenSSH servers: who is let in, what a lost host means, and what a mark there says."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from ssh_servers import Sshd, make_key, relay, running
from waiting import until

from paramedic.errors import OutcomeUnknown, PermanentError, TemporaryError
from paramedic.kinds.transport import Mark, MarkState, TcpPort, UnixSocket
from paramedic.machine.clock import boottime
from paramedic.remediation.host import Host
from paramedic.transports import ssh_connection
from paramedic.transports.ssh import Ssh
from paramedic.transports.ssh_shell import Shell

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def _nothing_warm() -> Iterator[None]:
    yield
    ssh_connection.close_all()


def soon(seconds: float = 30) -> float:
    return boottime() + seconds


def said(host: Host, *words: str) -> str:
    return Ssh(host).run(["echo", *words], soon()).output.strip()


# --- who is let in ----------------------------------------------------------------------------------------------------


def test_an_unknown_host_key_is_refused_with_its_fingerprint_and_never_added(sshd: Sshd, tmp_path: Path) -> None:
    shown = subprocess.run(
        ["ssh-keygen", "-lf", sshd.folder / "host_key"], check=True, capture_output=True, text=True
    ).stdout
    empty = tmp_path / "known_hosts"
    with pytest.raises(PermanentError) as no:
        said(sshd.host(known_hosts=str(empty)), "x")
    assert shown.split()[1] in str(no.value)
    command = f"ssh-keyscan -t ed25519 -p {sshd.port} 127.0.0.1 >> {empty}"
    assert command in str(no.value)
    assert not empty.exists()
    subprocess.run(["sh", "-c", command], check=True, stderr=subprocess.DEVNULL)
    assert said(sshd.host(known_hosts=str(empty)), "in") == "in"


def test_a_changed_host_key_is_refused_and_both_are_named(sshd: Sshd, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{sshd.port} {other}\n")
    with pytest.raises(
        PermanentError, match=r"shows another host key than is listed: the ED25519 key SHA256:.*known_hosts:1\)"
    ):
        said(sshd.host(known_hosts=str(known)), "x")
    assert other in known.read_text()


def test_a_server_with_several_host_keys_is_asked_for_the_one_that_is_listed(
    require: Callable[[str], str], tmp_path: Path
) -> None:
    rsa = make_key(tmp_path / "rsa", "rsa", "-b", "2048")
    ecdsa = make_key(tmp_path / "ecdsa", "ecdsa")
    with running(require, more=f"HostKey {tmp_path}/rsa\nHostKey {tmp_path}/ecdsa\n") as server:
        for listed in (rsa, ecdsa, server.public):
            server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {listed}\n")
            assert said(server.host(), "in") == "in"
            ssh_connection.close_all()
        server.known_hosts.write_text(f"* {rsa}\n@revoked * {rsa}\n")
        with pytest.raises(PermanentError, match=r"known_hosts:2 revokes"):
            said(server.host(), "x")


def test_a_key_that_is_not_authorized_is_told_with_its_fingerprint(sshd: Sshd, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    with pytest.raises(PermanentError, match=r"lets nobody in by the key SHA256:\S+ \(.*/stranger\)"):
        said(sshd.host(key=str(tmp_path / "stranger")), "x")


def test_a_key_that_others_can_read_or_with_a_passphrase_is_not_used(sshd: Sshd, tmp_path: Path) -> None:
    loose, locked = tmp_path / "loose", tmp_path / "locked"
    make_key(loose)
    loose.chmod(0o644)
    subprocess.run(["ssh-keygen", "-q", "-N", "words", "-f", locked], check=True, stdin=subprocess.DEVNULL)
    for key, why in (
        (loose, f"chmod 600 {loose}"),
        (locked, "has a passphrase"),
        (tmp_path / "none", "cannot be read"),
    ):
        with pytest.raises(PermanentError, match=why):
            said(sshd.host(key=str(key)), "x")
    (tmp_path / "text").write_text("no key")
    (tmp_path / "text").chmod(0o600)
    with pytest.raises(PermanentError, match="no private key that can be used"):
        said(sshd.host(key=str(tmp_path / "text")), "x")


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_each_kind_of_key_logs_in(sshd: Sshd, tmp_path: Path, kind: str) -> None:
    public = make_key(tmp_path / kind, kind)
    with (sshd.folder / "authorized_keys").open("a") as keys:
        keys.write(f"{public}\n")
    assert said(sshd.host(key=str(tmp_path / kind)), "in") == "in"


def test_a_certificate_logs_in_for_as_long_as_it_is_valid(require: Callable[[str], str], tmp_path: Path) -> None:
    make_key(tmp_path / "ca")
    make_key(tmp_path / "key")

    def sign(validity: str) -> None:
        sign = [
            "ssh-keygen",
            "-q",
            "-s",
            tmp_path / "ca",
            "-I",
            "us",
            "-n",
            server.user,
            "-V",
            validity,
            tmp_path / "key.pub",
        ]
        subprocess.run(sign, check=True)

    with running(require, more=f"TrustedUserCAKeys {tmp_path}/ca.pub\n") as server:
        signed = server.host(key=str(tmp_path / "key"), certificate=str(tmp_path / "key-cert.pub"))
        sign("-1m:+1h")
        assert said(signed, "in") == "in"
        assert "with its certificate, valid until 20" in ssh_connection.connection(signed).login(soon())
        ssh_connection.close_all()
        sign("-2h:-1h")
        with pytest.raises(PermanentError, match="key-cert.pub was valid until 20"):
            said(signed, "x")
        (tmp_path / "key-cert.pub").write_text((tmp_path / "key.pub").read_text())
        with pytest.raises(PermanentError, match="is a public key, and no OpenSSH certificate"):
            said(signed, "x")


@pytest.fixture
def agent(require: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    at = tmp_path / "agent"
    with subprocess.Popen([require("ssh-agent"), "-D", "-a", at], stdout=subprocess.DEVNULL) as process:
        until("the agent is there", at.exists, 20)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(at))
        yield at
        process.kill()


def test_the_agents_keys_log_in_and_one_of_many_can_be_named(sshd: Sshd, agent: Path, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="the SSH agent has not any key"):
        said(sshd.host(key=None, agent=""), "x")
    for number in range(8):
        make_key(tmp_path / f"key{number}")
        subprocess.run(["ssh-add", "-q", tmp_path / f"key{number}"], check=True)
    subprocess.run(["ssh-add", "-q", sshd.folder / "key"], check=True)
    with pytest.raises(PermanentError, match=r"ended the login after \d keys: name one of them"):
        said(sshd.host(key=None, agent=""), "x")
    shown = subprocess.run(
        ["ssh-keygen", "-lf", sshd.folder / "key"], check=True, capture_output=True, text=True
    ).stdout
    assert said(sshd.host(key=None, agent=shown.split()[1]), "in") == "in"


def test_without_an_agent_it_is_told(sshd: Sshd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(PermanentError, match="SSH_AUTH_SOCK is not set"):
        said(sshd.host(key=None, agent=""), "x")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    with pytest.raises(PermanentError, match="cannot be asked"):
        said(sshd.host(key=None, agent=""), "x")


def test_a_host_behind_another_is_reached_by_it(sshd: Sshd, require: Callable[[str], str]) -> None:
    with running(require, address="127.0.0.2") as behind:
        gate = sshd.host("gate")
        assert said(behind.host("web-8", jump=gate), "behind") == "behind"
        assert "Connection from 127.0.0.1" in behind.log()
        lost = Host("gate", sshd.host("gate", port=1).ssh)
        with pytest.raises(TemporaryError, match="web-8.* is behind gate: gate, .* cannot be reached"):
            said(behind.host("web-8", jump=lost), "x")


# --- a lost host ------------------------------------------------------------------------------------------------------


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


def test_a_look_whose_host_is_lost_says_so_and_is_not_repeated(sshd: Sshd, tmp_path: Path) -> None:
    with relay(sshd) as way:
        host = sshd.through(way)
        threading.Thread(target=lambda: until("it runs", (tmp_path / "ran").exists) and way.cut(), daemon=True).start()
        with pytest.raises(TemporaryError, match="web-7 was lost"):
            Ssh(host).run(["sh", "-c", f"echo x >> {tmp_path}/ran; sleep 5"], soon())
    assert (tmp_path / "ran").read_text() == "x\n"


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
        slow = threads.submit(server.transport().run, ["sleep", "3"], soon())
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


# --- a change whose connection is cut ---------------------------------------------------------------------------------


def change(host: Host, act: str, *words: str, lock: str = "web-7/app") -> Callable[[], object]:
    """Begin it, and give what says how it ended."""
    command = Ssh(host, act=act, lock=lock).command(list(words))
    command.start()
    return lambda: command.end(soon())


def test_a_change_that_outlives_the_connection_is_told_by_its_mark(sshd: Sshd, tmp_path: Path) -> None:
    with relay(sshd) as way:
        host = sshd.through(way)
        ends = change(host, "act-1", "sh", "-c", f"sleep 1; echo done >> {tmp_path}/done; exit 7")
        way.cut()
        ended = ends()
    assert ended.code == 7  # type: ignore[attr-defined]
    assert (tmp_path / "done").read_text() == "done\n"
    assert sshd.transport().mark("act-1") == Mark(MarkState.HAPPENED, 7)


def test_a_change_whose_host_stays_lost_is_unknown_and_the_next_look_says_more(sshd: Sshd, tmp_path: Path) -> None:
    with relay(sshd) as way:
        command = Ssh(sshd.through(way), act="act-2").command(
            ["sh", "-c", f"until [ -e {tmp_path}/go ]; do sleep 0.1; done"]
        )
        command.start()
        way.close()
        with pytest.raises(OutcomeUnknown, match="web-7 was cut after the change had begun"):
            command.end(soon(1.5))
    assert sshd.transport().mark("act-2") == Mark(MarkState.RUNNING)
    (tmp_path / "go").touch()
    until("it has ended", lambda: sshd.transport().mark("act-2") == Mark(MarkState.HAPPENED, 0), 20)


def test_a_change_that_was_never_begun_is_known_not_to_have_happened_and_cannot_come_later(
    sshd: Sshd, tmp_path: Path
) -> None:
    late = Ssh(sshd.host(), act="act-3").command(["touch", str(tmp_path / "late")])
    assert sshd.transport().mark("act-3") == Mark(MarkState.DID_NOT)
    with pytest.raises(PermanentError, match="has a mark of act-3 already: nothing is done twice"):
        late.start()
    assert not (tmp_path / "late").exists()
    assert sshd.transport().mark("act-3") == Mark(MarkState.DID_NOT)


def test_a_change_whose_guard_was_killed_is_known_to_have_begun(sshd: Sshd, tmp_path: Path) -> None:
    command = Ssh(sshd.host(), act="act-4").command(["sh", "-c", f"echo $PPID > {tmp_path}/parent; sleep 30"])
    command.start()
    parent = int(until("it runs", lambda: (tmp_path / "parent").exists() and (tmp_path / "parent").read_text()))
    os.kill(parent, 9)
    with pytest.raises(OutcomeUnknown, match="it began, and its end was not seen"):
        command.end(soon(5))
    os.killpg(int(command._process), 9)


def test_no_change_is_done_twice_under_one_id(sshd: Sshd, tmp_path: Path) -> None:
    assert change(sshd.host(), "act-5", "sh", "-c", f"echo x >> {tmp_path}/done")().code == 0  # type: ignore[attr-defined]
    with pytest.raises(PermanentError, match="nothing is done twice"):
        change(sshd.host(), "act-5", "sh", "-c", f"echo x >> {tmp_path}/done")
    assert (tmp_path / "done").read_text() == "x\n"


def test_two_changes_of_one_target_exclude_each_other_and_those_of_two_do_not(sshd: Sshd, tmp_path: Path) -> None:
    first = change(sshd.host(), "act-6", "sh", "-c", f"until [ -e {tmp_path}/go ]; do sleep 0.1; done", lock="web-7/a")
    with pytest.raises(TemporaryError, match="another change of the same target is running on web-7"):
        change(sshd.host(), "act-7", "true", lock="web-7/a")
    change(sshd.host(), "act-8", "true", lock="web-7/b")()
    (tmp_path / "go").touch()
    first()
    change(sshd.host(), "act-9", "true", lock="web-7/a")()


def test_what_it_leaves_in_the_background_holds_no_lock(sshd: Sshd, tmp_path: Path) -> None:
    change(sshd.host(), "act-10", "sh", "-c", f"sleep 60 & echo $! > {tmp_path}/left")()
    assert sshd.transport().mark("act-10") == Mark(MarkState.HAPPENED, 0)
    change(sshd.host(), "act-11", "true")()
    os.kill(int((tmp_path / "left").read_text()), 9)


@pytest.mark.parametrize("arrives", [False, True])
def test_a_connection_that_is_cut_while_the_change_is_sent_is_looked_after(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrives: bool
) -> None:
    act = f"act-12-{arrives}"
    with relay(sshd) as way:
        command = Ssh(sshd.through(way), act=act).command(["sh", "-c", f"sleep 0.5; echo x >> {tmp_path}/done"])
        send = Shell.send

        def cut(sh: Shell, script: str, deadline: float, *, last: bool = False) -> None:
            monkeypatch.undo()
            if not arrives:
                way.hold()
            send(sh, script, deadline, last=last)
            if arrives:
                until("it has come there", (sshd.folder / "state" / "paramedic" / act).exists, 20)
            way.cut()
            way.let_go()

        monkeypatch.setattr(Shell, "send", cut)
        if arrives:
            command.start()
            assert command.end(soon()).code == 0
        else:
            with pytest.raises(TemporaryError, match="web-7 was lost before it began"):
                command.start()
    assert sshd.transport().mark(act).state is (MarkState.HAPPENED if arrives else MarkState.DID_NOT)
    assert (tmp_path / "done").exists() == arrives


def test_a_connection_to_a_supervisor_is_kept_there_when_ours_is_cut(sshd: Sshd, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, relay(sshd) as way:
        line = Ssh(sshd.through(way)).connect(TcpPort("127.0.0.1", listener.getsockname()[1]), soon(), outlives_us=True)
        client, _ = listener.accept()
        with client, line:
            line.outlive_us()
            line.send(b"restart", soon())
            client.settimeout(20)
            assert client.recv(100) == b"restart"
            way.cut()
            with pytest.raises(OSError):
                line.receive(soon())
            client.settimeout(1)
            with pytest.raises(TimeoutError):  # it is still open
                client.recv(1)
            client.sendall(b"done")


def test_an_ordinary_connection_ends_with_ours(sshd: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, relay(sshd) as way:
        for outlives in (False, True):
            to = TcpPort("127.0.0.1", listener.getsockname()[1])
            with Ssh(sshd.through(way)).connect(to, soon(), outlives_us=outlives):
                client, _ = listener.accept()
                way.cut()
                with client:
                    client.settimeout(20)
                    assert client.recv(1) == b""


# --- rights -----------------------------------------------------------------------------------------------------------


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


def test_killed_after_is_kept_by_the_host_when_we_are_gone(sshd: Sshd, tmp_path: Path) -> None:
    with relay(sshd) as way:
        command = Ssh(sshd.through(way), act="act-13").command(
            ["sh", "-c", f"echo $$ > {tmp_path}/pid; sleep 300"], killed_after=timedelta(seconds=1)
        )
        command.start()
        way.close()
    until("it was ended", lambda: sshd.transport().mark("act-13") == Mark(MarkState.HAPPENED, 137), 20)
