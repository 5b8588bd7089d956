"""A unit on another machine: a real systemd in namespaces of its own, reached by a real SSH server there."""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sudo_user
from ssh_servers import Sshd, relay, running
from systemd_container import PidOne
from systemd_units import starts_of
from waiting import until

from paramedic.doors import changing, reading
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TemporaryError
from paramedic.kinds.transport import Mark, MarkState
from paramedic.machine.clock import boottime
from paramedic.processes import unit_change
from paramedic.remediation.host import Host
from paramedic.remediation.target import Target
from paramedic.transports import ssh_connection, ssh_look
from paramedic.transports.ssh import Ssh

pytestmark = pytest.mark.real

WITHIN = timedelta(seconds=30)


@pytest.fixture(scope="module")
def there(require: Callable[[str], str], pid_one: PidOne) -> Iterator[Sshd]:
    """The SSH server of that machine."""
    with running(require, inside=pid_one.via) as server:
        yield server
    ssh_connection.close_all()


@pytest.fixture
def unit(pid_one: PidOne) -> Iterator[str]:
    starts = pid_one.folder / "starts"
    starts.unlink(missing_ok=True)
    script = pid_one.folder / "app.sh"
    counts = f"trap 'echo x >> {pid_one.folder}/reloads' HUP; while :; do sleep 0.05; done"
    script.write_text(f"#!/bin/sh\necho $$ >> {starts}\n{counts}\n")
    script.chmod(0o755)
    (pid_one.folder / "reloads").unlink(missing_ok=True)
    more = "ExecReload=/bin/sh -c 'until [ ! -e FOLDER/slow ]; do sleep 0.1; done; kill -HUP $MAINPID'\n"
    more = more.replace("FOLDER", str(pid_one.folder))
    more += f"ExecStop=/bin/sh -c 'until [ ! -e {pid_one.folder}/slow ]; do sleep 0.1; done'"
    pid_one.unit("app.service", f"[Service]\nExecStart={script}\n{more}\n")
    assert pid_one.run("systemctl", "start", "app.service").returncode == 0
    starts_of(pid_one, "app.service", starts)
    yield "app.service"
    (pid_one.folder / "slow").unlink(missing_ok=True)
    pid_one.run("systemctl", "kill", "--signal=KILL", "app.service")
    pid_one.run("systemctl", "stop", "app.service")


def target(unit: str, host: Host) -> Target:
    return Target(f"{host.name}/{unit}", "tracking", host.name, "systemd", unit, "", machine=host)


def starts(pid_one: PidOne) -> int:
    return starts_of(pid_one, "app.service", pid_one.folder / "starts")


def test_a_unit_there_is_restarted_as_one_here_is(pid_one: PidOne, there: Sshd, unit: str) -> None:
    app = target(unit, there.host())
    before = reading.identity(app)
    assert reading.running(app, before)
    after = changing.changer(app, WITHIN, act="act-1").restart(before, lambda: None)
    assert reading.restarted(app, before, after)
    assert starts(pid_one) == 2
    assert reading.mark(app, "act-1", "restart") == Mark(MarkState.HAPPENED, 0)
    assert "app.sh" in reading.evidence(app, "process-tree").text
    assert "app.service" in reading.evidence(app, "journal").text
    assert reading.resident_memory(app, after) > 0
    assert reading.process_use(app)[1] == f"process {after.instance['pid']}"


def reloads(pid_one: PidOne) -> int:
    file = pid_one.folder / "reloads"
    return len(file.read_text().splitlines()) if file.exists() else 0


def test_a_unit_there_is_reloaded_as_one_here_is(pid_one: PidOne, there: Sshd, unit: str) -> None:
    app = target(unit, there.host())
    before, changer = reading.identity(app), unit_change.Changer(app, Ssh(there.host(), act="act-r1"), WITHIN)
    assert changer.reload(before, lambda: None) == before == reading.identity(app)
    assert changer.did == f"systemd reloaded web-7/app.service, and process {before.instance['pid']} goes on"
    assert (reloads(pid_one), starts(pid_one)) == (1, 1)
    assert reading.mark(app, "act-r1", "reload") == Mark(MarkState.HAPPENED, 0)
    with pytest.raises(PermanentError, match="has a mark of act-r1 already: nothing is done twice"):
        unit_change.Changer(app, Ssh(there.host(), act="act-r1"), WITHIN).reload(before, lambda: None)
    assert reloads(pid_one) == 1


def test_a_reload_whose_host_stays_lost_is_unknown_until_its_mark_says_it(
    pid_one: PidOne, there: Sshd, unit: str
) -> None:
    (pid_one.folder / "slow").touch()
    known = target(unit, there.host())
    with relay(there) as way:
        app = target(unit, there.through(way))
        before = reading.identity(app)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(unit_change, "kill_point", lambda *_: way.close())
            with pytest.raises(OutcomeUnknown, match="was cut after the change had begun"):
                unit_change.Changer(app, Ssh(app.machine, act="act-r2"), timedelta(seconds=2)).reload(
                    before, lambda: None
                )
    assert reading.mark(known, "act-r2", "reload") == Mark(MarkState.RUNNING)
    with pytest.raises(Refused, match="somebody else is at work"):
        unit_change.Changer(known, Ssh(there.host(), act="act-r3"), WITHIN).reload(before, lambda: None)
    (pid_one.folder / "slow").unlink()
    until("it has ended", lambda: reading.mark(known, "act-r2", "reload") == Mark(MarkState.HAPPENED, 0), 20)
    until("it was reloaded", lambda: reloads(pid_one) == 1, 20)
    assert (reading.identity(known), starts(pid_one)) == (before, 1)


def test_another_instance_than_the_judged_one_is_not_touched_there(pid_one: PidOne, there: Sshd, unit: str) -> None:
    app = target(unit, there.host())
    before = reading.identity(app)
    assert pid_one.run("systemctl", "restart", unit).returncode == 0
    with pytest.raises(Refused, match="no longer the one that was judged"):
        changing.changer(app, WITHIN).restart(before, lambda: None)
    assert starts(pid_one) == 2


def test_a_no_at_the_last_look_starts_nothing_there(pid_one: PidOne, there: Sshd, unit: str) -> None:
    app = target(unit, there.host())

    def too_late() -> None:
        raise Refused("the claim is gone")

    with pytest.raises(Refused, match="the claim is gone"):
        changing.changer(app, WITHIN, act="act-2").restart(reading.identity(app), too_late)
    assert starts(pid_one) == 1
    assert reading.mark(app, "act-2", "restart") == Mark(MarkState.DID_NOT)


def test_a_unit_that_is_not_there_and_a_host_that_is_lost_are_two_things(there: Sshd) -> None:
    with pytest.raises(PermanentError, match=r"systemd has no unit none\.service"):
        reading.identity(target("none.service", there.host()))
    with pytest.raises(TemporaryError, match="cannot be reached"):
        reading.identity(target("none.service", there.host(port=1)))


def test_a_restart_whose_connection_is_cut_goes_on_and_is_known(pid_one: PidOne, there: Sshd, unit: str) -> None:
    (pid_one.folder / "slow").touch()
    with relay(there) as way:
        app = target(unit, there.through(way))
        before = reading.identity(app)
        ways = {"cut": way.cut}

        def cut_once(_name: str, _target: str) -> None:
            ways.pop("cut", lambda: None)()
            (pid_one.folder / "slow").unlink()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(unit_change, "kill_point", cut_once)
            after = changing.changer(app, WITHIN, act="act-3").restart(before, lambda: None)
    assert reading.restarted(app, before, after)
    assert starts(pid_one) == 2


def test_a_restart_whose_host_stays_lost_is_unknown_until_the_next_look(
    pid_one: PidOne, there: Sshd, unit: str
) -> None:
    (pid_one.folder / "slow").touch()
    known = target(unit, there.host())
    with relay(there) as way:
        app = target(unit, there.through(way))
        before = reading.identity(app)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(unit_change, "kill_point", lambda *_: way.close())
            patch.setattr(unit_change, "GUARD", timedelta(minutes=1))  # its host does not end it meanwhile
            with pytest.raises(OutcomeUnknown, match="was cut after the change had begun"):
                changing.changer(app, timedelta(seconds=2), act="act-4").restart(before, lambda: None)
    assert reading.mark(known, "act-4", "restart") == Mark(MarkState.RUNNING)
    assert not reading.restarted(known, before, reading.identity(known))
    (pid_one.folder / "slow").unlink()
    until("it has ended", lambda: reading.mark(known, "act-4", "restart") == Mark(MarkState.HAPPENED, 0), 20)
    assert reading.restarted(known, before, reading.identity(known))
    assert starts(pid_one) == 2


@pytest.fixture
def helper(require: Callable[[str], str], as_root: None) -> Iterator[tuple[Sshd, Path]]:
    with tempfile.TemporaryDirectory(prefix="helper") as name:
        etc = Path(name)
        etc.chmod(0o755)
        with sudo_user.helper(require, etc) as made:
            yield made


def test_sudo_is_asked_for_the_change_alone_and_a_missing_line_is_named(helper: tuple[Sshd, Path]) -> None:
    server, sudoers = helper
    there = Ssh(server.host(sudo=True), act="act-5")
    assert there.run(["id", "-un"], there_soon()).output == "helper\n"
    with pytest.raises(PermanentError) as no:
        there.command(["env", "LC_ALL=C", "id", "-un", "a:b"])
    line = "helper ALL=(root) NOPASSWD: /usr/bin/id -un a\\:b"
    assert str(no.value) == f"web-7 lacks a line in its sudoers: `{line}`"
    sudo_user.allow(sudoers, f"{line}\nhelper ALL=(root) NOPASSWD: /usr/bin/id -un\n")
    with there.command(["env", "LC_ALL=C", "id", "-un"]) as program:
        program.start()
        assert program.end(there_soon()).output == "root\n"


def test_doctor_names_the_sudoers_line_that_a_restart_needs(helper: tuple[Sshd, Path]) -> None:
    """No systemd is there: what is asked is sudo, and nothing is started."""
    server, sudoers = helper
    unit = target("app.service", server.host(sudo=True))
    why = reading.forbidden(unit, "restart")
    line = "NOPASSWD: /usr/bin/systemctl restart --job-mode\\=fail --no-pager --no-ask-password -- app.service"
    assert why == f"web-7 lacks a line in its sudoers: `helper ALL=(root) {line}`"
    sudo_user.allow(sudoers, f"helper ALL=(root) {line}\n")
    assert reading.forbidden(unit, "restart") is None


def test_what_keeps_the_hosts_user_from_a_roll_back_is_said_with_what_grants_it(
    helper: tuple[Sshd, Path], require: Callable[[str], str]
) -> None:
    server, sudoers = helper
    folder = sudoers.parent / "it's"
    folder.mkdir(mode=0o755)
    (folder / "current").symlink_to("releases/v1")
    (folder / "log").touch()
    quoted = shlex.quote(str(folder))
    with server.transport().folder(str(folder)) as held:
        assert held.unreplaceable("current") == (
            f"the user helper may not write in {folder}: `setfacl -m u:helper:rwx {quoted}`, "
            "or remount it where it is read-only"
        )
        assert held.unwritable("log") == (
            f"the user helper may not read and write {folder}/log: `setfacl -m u:helper:rw {shlex.quote(f'{folder}/log')}`, "
            "or remount it where it is read-only"
        )
        with pytest.raises(FileNotFoundError):
            held.unwritable("none")
        folder.chmod(0o1777)
        (folder / "log").chmod(0o666)
        sticky = held.unreplaceable("current")
        assert sticky is not None
        assert sticky.startswith(
            f"{folder} is sticky, so the user helper may not replace current, which belongs to root: "
        )
        assert held.unreplaceable("new") is None, "what is not there belongs to nobody"
        os.chown(folder / "current", 4321, 4321, follow_symlinks=False)
        assert (held.unreplaceable("current"), held.unwritable("log"), held.holder("log")) == (None, None, None)
        lock = [require("flock"), str(folder / "log"), "sh", "-c", "echo held; read line"]
        with subprocess.Popen(lock, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            other.stdout.readline()
            who = held.holder("log")
            other.communicate("\n")
        assert who is None or who.startswith(f"process {other.pid} (")


def test_roots_program_is_ended_by_sudos_own_guard(helper: tuple[Sshd, Path]) -> None:
    server, sudoers = helper
    sudo_user.allow(sudoers, "helper ALL=(root) NOPASSWD: /usr/bin/sleep 300\nDefaults:helper user_command_timeouts\n")
    for how in ("killed_after", "limit"):
        with Ssh(server.host(sudo=True)).command(["sleep", "300"], **{how: timedelta(seconds=1)}) as program:
            program.start()
            ended = program.end(there_soon())
            assert ended.code != 0
            assert ended.limited


def test_where_sudo_sets_no_time_a_change_that_needs_one_is_not_begun_and_others_are(
    helper: tuple[Sshd, Path], tmp_path: Path
) -> None:
    server, sudoers = helper
    sudo_user.allow(sudoers, "helper ALL=(root) NOPASSWD: /usr/bin/sleep 1.5\n")
    there = Ssh(server.host(sudo=True))
    with pytest.raises(PermanentError) as no:
        there.command(["sleep", "1.5"], killed_after=timedelta(seconds=1))
    assert "`helper ALL=(root) NOPASSWD: /usr/bin/sleep 1.5` and `Defaults:helper user_command_timeouts`" in str(
        no.value
    )
    with there.command(["sleep", "1.5"], limit=timedelta(seconds=1)) as program:
        program.start()
        ended = program.end(there_soon())
        assert (ended.code, ended.limited) == (0, False)
    with pytest.raises(
        PermanentError, match=r"lacks a line in its sudoers: `helper ALL=\(root\) NOPASSWD: /usr/bin/sleep 2`"
    ):
        there.command(["sleep", "2"], limit=timedelta(seconds=1))
    within = timedelta(seconds=20)
    assert ssh_look.look(server.host(sudo=True), within).has & {"sudo", "sudo-limits"} == {"sudo"}
    sudo_user.allow(sudoers, "Defaults:helper user_command_timeouts\n")
    assert ssh_look.look(server.host(sudo=True), within).has >= {"sudo", "sudo-limits"}


def test_who_has_no_right_there_restarts_nothing_there(helper: tuple[Sshd, Path]) -> None:
    server, _ = helper
    folder = server.transport().folder("/root")
    with pytest.raises(PermissionError), folder:
        pass


def there_soon() -> float:
    return boottime() + 30
