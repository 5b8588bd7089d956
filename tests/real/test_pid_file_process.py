"""A process by its pid file on a real machine, here and by a real SSH server: ended, started and signalled, or left alone."""

import getpass
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pid_file_stage import Daemon
from ssh_servers import Sshd, relay
from waiting import until

from paramedic.doors import changing, reading
from paramedic.errors import OutcomeUnknown, PermanentError, Refused
from paramedic.integrations.targets.process import Changer, Reader, forbidden, restarted, running
from paramedic.kinds.transport import Mark, MarkState, Transport
from paramedic.processes import pid_change
from paramedic.remediation.target import Identity
from paramedic.transports.local import Local
from paramedic.transports.ssh import Ssh

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_warm")]

WITHIN = timedelta(seconds=30)

#: The name of the host by both ways.
NAMES = {Local: "localhost", Ssh: "web-7"}


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory(prefix="daemon") as folder:  # which another user may look into
        made = Daemon(Path(folder))
        yield made
        made.end()


def agree() -> None:
    """A last look that sees nothing wrong."""


def look(daemon: Daemon, there: Transport, **other: object) -> Identity:
    return Reader(daemon.target(NAMES[type(there)], **other), there, WITHIN).identity()  # type: ignore[index]


def changer(daemon: Daemon, there: Transport, within: timedelta = WITHIN, **other: object) -> Changer:
    return Changer(daemon.target(NAMES[type(there)], **other), there, within)  # type: ignore[index]


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() != b""


def test_both_ways_see_the_same_instance(daemon: Daemon, sshd: Sshd) -> None:
    pid = daemon.begins()
    here, there = look(daemon, Local()), look(daemon, sshd.transport())
    assert here == there
    assert running(here)
    assert here.instance["pid"] == pid
    assert abs(float(here.instance["started_at"] or 0) - time.time()) < 60
    os.kill(pid, signal.SIGKILL)
    until("it is gone", lambda: not alive(pid), 20)
    assert look(daemon, Local()) == look(daemon, sshd.transport())
    assert look(daemon, Local()).instance["pid"] is None


def test_a_restart_ends_it_starts_it_and_says_which_one_runs_now(daemon: Daemon, there: Transport) -> None:
    first = daemon.begins()
    before = look(daemon, there)
    after = changer(daemon, there).restart(before, agree)
    assert after == look(daemon, there)
    assert restarted(before, after)
    assert after.instance["pid"] == daemon.starts()[-1] != first
    assert len(daemon.starts()) == 2
    assert not alive(first)


def test_one_that_does_not_end_by_itself_is_killed_after_its_time_and_not_before(
    daemon: Daemon, there: Transport
) -> None:
    first = daemon.begins()
    (daemon.folder / "stubborn").touch()
    began = time.monotonic()
    changer(daemon, there, stop_within="1s").restart(look(daemon, there), agree)
    assert time.monotonic() - began >= 1
    assert not alive(first)
    assert len(daemon.starts()) == 2


def test_a_suspended_one_is_killed_and_started(daemon: Daemon, there: Transport) -> None:
    first = daemon.begins()
    os.kill(first, signal.SIGSTOP)
    until("it is suspended", lambda: look(daemon, there).state == "suspended", 20)
    with pytest.raises(PermanentError, match="is suspended: only a process that runs can be reloaded"):
        changer(daemon, there).reload(look(daemon, there), agree)
    assert running(changer(daemon, there, stop_within="200ms").restart(look(daemon, there), agree))
    assert not alive(first)


def test_one_that_is_down_is_started_though_its_pid_file_is_stale(daemon: Daemon, there: Transport) -> None:
    os.kill(daemon.begins(), signal.SIGKILL)
    until("it is gone", lambda: not running(look(daemon, there)), 20)
    assert daemon.pid_file.exists()
    after = changer(daemon, there).restart(look(daemon, there), agree)
    assert running(after)
    assert len(daemon.starts()) == 2


def test_one_that_is_down_and_that_nobody_here_starts_is_left_and_said(daemon: Daemon, there: Transport) -> None:
    looked: list[int] = []
    with pytest.raises(PermanentError, match="stopped/no-pid-file, and services.yaml names no `start` for it"):
        changer(daemon, there, start=None).restart(look(daemon, there), lambda: looked.append(1))
    assert not looked


@pytest.fixture
def supervised(daemon: Daemon) -> Iterator[Daemon]:
    """It, with something that starts it whenever it has ended."""
    script = 'while :; do /bin/sh "$1/daemon" "$1"; sleep 0.1; done'
    with subprocess.Popen(["sh", "-c", script, "sh", str(daemon.folder)]) as supervisor:
        try:
            until("it has written its pid", daemon.pid_file.exists, 20)
            yield daemon
        finally:
            supervisor.kill()


def test_what_supervises_it_starts_it_again_and_the_pid_file_tells(supervised: Daemon, there: Transport) -> None:
    until("it runs", lambda: running(look(supervised, there)), 20)
    before = look(supervised, there)
    after = changer(supervised, there, start=None).restart(before, agree)
    assert restarted(before, after)
    assert len(supervised.starts()) == 2


@pytest.fixture
def _soon_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pid_change, "_AFTER_STOP", timedelta(seconds=1))


@pytest.mark.usefixtures("_soon_over")
def test_one_that_nothing_starts_again_is_a_failure_and_said(daemon: Daemon, there: Transport) -> None:
    daemon.begins()
    within = timedelta(seconds=4)
    with pytest.raises(
        PermanentError, match="it was ended, and no new process of .* in 4s: it is stopped/no-pid-file now"
    ):
        changer(daemon, there, within, start=None, stop_within="500ms").restart(look(daemon, there), agree)


def test_a_start_that_fails_is_told_in_its_own_words(daemon: Daemon, there: Transport) -> None:
    daemon.begins()
    (daemon.folder / "broken").touch()
    with pytest.raises(
        PermanentError,
        match=r"was stopped, and did not start: cannot bind to port 80.* ended with 7; it is stopped/no-pid-file now",
    ):
        changer(daemon, there).restart(look(daemon, there), agree)


@pytest.mark.usefixtures("_soon_over")
def test_a_start_whose_daemon_writes_no_pid_did_not_bring_it_up(daemon: Daemon, there: Transport) -> None:
    """phedoreanu's majestic (OpenIPC/firmware#2245): a second daemon ran beside what the file named."""
    daemon.begins()
    (daemon.folder / "unwritten").touch()
    with pytest.raises(PermanentError, match="its `start` returned, and no new process"):
        changer(daemon, there, timedelta(seconds=4), stop_within="500ms").restart(look(daemon, there), agree)


def test_nothing_is_stopped_that_cannot_be_started(daemon: Daemon, there: Transport) -> None:
    first, looked = daemon.begins(), []
    with pytest.raises(PermanentError, match="no program"):
        changer(daemon, there, start=["/no/such/program"]).restart(look(daemon, there), lambda: looked.append(1))
    assert not looked
    assert alive(first)


def test_one_that_needs_longer_to_stop_than_a_change_may_last_is_left(daemon: Daemon, there: Transport) -> None:
    first = daemon.begins()
    with pytest.raises(Refused, match="has 25s to stop, and this change may last 30s in all"):
        changer(daemon, there, stop_within="25s").restart(look(daemon, there), agree)
    assert alive(first)


def test_another_instance_than_the_judged_one_is_not_touched(daemon: Daemon, there: Transport) -> None:
    first = daemon.begins()
    judged = look(daemon, there)
    os.kill(first, signal.SIGTERM)
    until("it is gone", lambda: not alive(first), 20)
    second, looked = daemon.begins(), []
    for change in (changer(daemon, there).restart, changer(daemon, there).reload):
        with pytest.raises(Refused, match=f"no longer the one that was judged: pid {first} "):
            change(judged, lambda: looked.append(1))
    assert not looked
    assert alive(second)
    assert daemon.reloads() == 0


def test_one_that_became_another_after_the_last_look_is_seen_where_the_signal_is_sent(
    daemon: Daemon, there: Transport
) -> None:
    """The pid is the same: what its file says of when it began is compared in the same shell as the signal."""
    pid = daemon.begins()
    now = look(daemon, there)
    boot, _, began = str(now.instance["invocation"]).partition("/")
    before = Identity(now.state, {**now.instance, "invocation": f"{boot}/{int(began) - 1}"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "identity", lambda _: before)
        for change in (changer(daemon, there).restart, changer(daemon, there).reload):
            with pytest.raises(Refused, match="no longer the one that was judged where the signal was to be sent"):
                change(before, agree)
    assert alive(pid)
    assert (daemon.reloads(), len(daemon.starts())) == (0, 1)


def test_a_no_at_the_last_look_signals_nothing(daemon: Daemon, there: Transport) -> None:
    pid = daemon.begins()

    def too_late() -> None:
        raise Refused("the claim is gone")

    for change in (changer(daemon, there).restart, changer(daemon, there).reload):
        with pytest.raises(Refused, match="the claim is gone"):
            change(look(daemon, there), too_late)
    assert alive(pid)
    assert daemon.reloads() == 0


def test_a_reload_reaches_it_and_it_goes_on(daemon: Daemon, there: Transport) -> None:
    pid = daemon.begins()
    before, change = look(daemon, there), changer(daemon, there)
    assert change.reload(before, agree) == before == look(daemon, there)
    until("it has read its configuration", lambda: daemon.reloads() == 1, 20)
    assert change.did.endswith(f"got the signal HUP, and process {pid} goes on")
    assert len(daemon.starts()) == 1


def test_a_signal_that_it_does_not_handle_ends_it_and_that_is_a_failure(daemon: Daemon, there: Transport) -> None:
    daemon.begins()
    with pytest.raises(PermanentError, match="died by its reload, the signal USR1: it is stopped/"):
        changer(daemon, there, reload="USR1").reload(look(daemon, there), agree)


def test_evidence_and_memory_are_those_of_any_process(daemon: Daemon, sshd: Sshd) -> None:
    pid = daemon.begins()
    for host in ("localhost", sshd.host()):
        target = daemon.target(host)
        now = reading.identity(target)
        assert str(pid) in reading.evidence(target, "process-tree").text
        assert f"process {pid} holds" in reading.evidence(target, "memory").text
        assert reading.resident_memory(target, now) > 100_000
        assert reading.process_use(target)[1] == f"process {pid}"


def test_a_change_there_leaves_its_mark_and_is_made_once(daemon: Daemon, sshd: Sshd) -> None:
    first = daemon.begins()
    target = daemon.target(sshd.host())
    before = reading.identity(target)
    changes = Changer(target, Ssh(sshd.host(), act="act-p1"), WITHIN)
    assert changes.reload(before, agree) == before
    assert reading.mark(target, "act-p1", "reload") == Mark(MarkState.HAPPENED, 0)
    with pytest.raises(PermanentError, match="has a mark of act-p1 already: nothing is done twice"):
        changes.reload(before, agree)
    after = changing.changer(target, WITHIN, act="act-p2").restart(before, agree)
    assert reading.mark(target, "act-p2", "restart") == Mark(MarkState.HAPPENED, 0)
    assert restarted(before, after)
    assert (daemon.starts()[0], len(daemon.starts())) == (first, 2)


def test_a_restart_whose_host_is_lost_is_one_whole_restart(daemon: Daemon, sshd: Sshd) -> None:
    daemon.begins()
    (daemon.folder / "stubborn").touch()
    known = daemon.target(sshd.host(), stop_within="1s")
    with relay(sshd) as way:
        target = daemon.target(sshd.through(way), stop_within="1s")
        before = reading.identity(target)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pid_change, "kill_point", lambda *_: way.close())
            with pytest.raises(OutcomeUnknown, match="was cut after the change had begun"):
                changing.changer(target, timedelta(seconds=10), act="act-p3").restart(before, agree)
    until("it has ended", lambda: reading.mark(known, "act-p3", "restart") == Mark(MarkState.HAPPENED, 0), 20)
    until("it is up", lambda: running(reading.identity(known)), 20)
    assert reading.restarted(known, before, reading.identity(known))
    assert len(daemon.starts()) == 2


def test_two_changes_of_one_process_exclude_each_other_there(daemon: Daemon, sshd: Sshd) -> None:
    daemon.begins()
    (daemon.folder / "stubborn").touch()
    target = daemon.target(sshd.host(), stop_within="2s")
    before = reading.identity(target)
    lock = f"{target.id}"
    with Ssh(sshd.host(), act="act-p4", lock=lock).command(["sleep", "60"]) as other:
        other.start()
        with pytest.raises(Exception, match="another change of the same target is running"):
            Changer(target, Ssh(sshd.host(), act="act-p5", lock=lock), WITHIN).restart(before, agree)
        with pytest.raises(Exception, match=r"."):
            other.end(0)
    assert len(daemon.starts()) == 1


NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")


@pytest.mark.usefixtures("as_root")
def test_who_may_not_signal_it_is_told_and_signals_nothing(daemon: Daemon) -> None:
    pid = daemon.begins()
    as_nobody, target = Local(NOBODY), daemon.target()
    why = forbidden(target, as_nobody, "restart")
    assert why is not None
    assert f"may not signal a process of the user {getpass.getuser()}: reach it as that user, or as root" in why
    assert forbidden(target, Local(), "restart") is None
    assert forbidden(daemon.target(start=["/no/such"]), Local(), "restart") is not None
    assert forbidden(daemon.target(start=["/no/such"]), Local(), "reload") is None
    with pytest.raises(PermanentError, match="may not be signalled: .*ermitted"):
        Changer(target, as_nobody, WITHIN).restart(Reader(target, Local()).identity(), agree)
    assert alive(pid)
    assert len(daemon.starts()) == 1


def test_it_is_never_signalled_by_sudo(daemon: Daemon, sshd: Sshd) -> None:
    pid = daemon.begins()
    target = daemon.target(sshd.host(sudo=True))
    now = reading.identity(target)
    why = reading.forbidden(target, "restart")
    assert why is not None
    assert why.startswith("a process is signalled by its own user, and never by sudo")
    for change in ("restart", "reload"):
        with pytest.raises(PermanentError, match="never by sudo"):
            getattr(changing.changer(target, WITHIN), change)(now, agree)
    assert alive(pid)
