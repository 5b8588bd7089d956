"""A change on a host whose connection is cut: what its mark there says, and what goes on without us."""

import os
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from ssh_servers import Sshd, relay
from waiting import soon, until

from paramedic.errors import OutcomeUnknown, PermanentError, TemporaryError
from paramedic.kinds.transport import Mark, MarkState, TcpPort
from paramedic.remediation.host import Host
from paramedic.transports.ssh import Ssh
from paramedic.transports.ssh_shell import Shell

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_warm")]


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


def test_who_is_there_when_the_time_is_over_hears_it_too(sshd: Sshd) -> None:
    with Ssh(sshd.host(), act="act-14").command(["sleep", "300"], limit=timedelta(seconds=1)) as command:
        command.start()
        ended = command.end(soon())
    assert (ended.code, ended.limited, ended.lost) == (137, True, False)


@pytest.mark.parametrize("script", ["kill -KILL $$", "exit 137", "sleep 1.5; exit 3", "true"])
def test_what_ends_by_itself_is_not_told_as_ended_for_its_time(sshd: Sshd, script: str) -> None:
    act = f"act-15-{len(script)}"
    limit = timedelta(seconds=1 if "sleep" not in script else 60)
    with Ssh(sshd.host(), act=act).command(["sh", "-c", script], limit=limit) as command:
        command.start()
        assert not command.end(soon()).limited
    assert not sshd.transport().mark(act).limited
