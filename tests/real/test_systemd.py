"""The systemd integration against a real systemd, whose services write down every start."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest
from required import missing
from systemd_container import CannotRun, PidOne

from paramedic.doors import reading
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TemporaryError
from paramedic.integrations.targets import systemd as integration
from paramedic.integrations.targets.systemd import Changer, Reader
from paramedic.kinds.process_target import process_identity
from paramedic.machine.clock import boottime
from paramedic.remediation.target import Identity, Target
from paramedic.transports import local_command
from paramedic.transports.local import Local

pytestmark = pytest.mark.real


NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")


class Units:
    """A running systemd with units that write a line at each start."""

    def __init__(self, systemd: PidOne) -> None:
        self.systemd = systemd
        self.via = systemd.via
        self._made: list[str] = []

    def make(self, name: str, *, start: str = "exec sleep infinity", more: str = "", top: str = "") -> Target:
        starts = self.systemd.folder / f"{name}.starts"
        script = self.systemd.folder / f"{name}.sh"
        script.write_text(f"#!/bin/sh\necho $$ >> {starts}\n{start}\n")
        script.chmod(0o755)
        self.systemd.unit(f"{name}.service", f"{top}\n[Service]\nExecStart={script}\n{more}\n")
        self._made.append(name)
        return target(f"{name}.service")

    def running(self, name: str, **more: str) -> Target:
        made = self.make(name, **more)
        started = self.systemd.run("systemctl", "start", made.name)
        assert started.returncode == 0, started.stderr
        return made

    def starts(self, name: str) -> int:
        try:
            return len((self.systemd.folder / f"{name}.starts").read_text().splitlines())
        except FileNotFoundError:
            return 0

    def identity(self, of: Target) -> Identity:
        return Reader(of, Local(self.via), timedelta(seconds=60)).identity()

    def changer(self, of: Target, within: timedelta = timedelta(seconds=60)) -> Changer:
        return Changer(of, Local(self.via), within)

    def comes_to(self, of: Target, well: Callable[[Identity], bool]) -> Identity:
        until = time.monotonic() + 60
        while not well(seen := self.identity(of)):
            assert time.monotonic() < until, f"{of.name} is {seen}"
            time.sleep(0.02)
        return seen

    def end(self) -> None:
        for name in self._made:
            self.systemd.run("systemctl", "kill", "--signal=KILL", f"{name}.service")
            self.systemd.run("systemctl", "stop", "--no-block", f"{name}.service")


@contextmanager
def systemd(require: Callable[[str], str], rule: str | None = None) -> Iterator[PidOne]:
    folder = Path(tempfile.mkdtemp(prefix="sd"))
    folder.chmod(0o755)
    if rule is not None:
        (folder / "rules.d").mkdir()
        (folder / "rules.d" / "50-paramedic.rules").write_text(rule)
    try:
        running = PidOne(require, folder)
    except CannotRun as no:
        shutil.rmtree(folder)
        missing(str(no))
    try:
        yield running
    finally:
        running.end()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def pid_one(require: Callable[[str], str]) -> Iterator[PidOne]:
    with systemd(require) as running:
        yield running


@pytest.fixture
def units(pid_one: PidOne) -> Iterator[Units]:
    made = Units(pid_one)
    yield made
    made.end()


def target(name: str, host: str = "elsewhere") -> Target:
    return Target(f"{host}/{name}", "tracking", host, "systemd", name, "")


def later(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    """For this module ten minutes pass at once."""
    now = boottime()
    monkeypatch.setattr(module, "boottime", lambda: now + 600)


def agree() -> None:
    """A last look that sees nothing wrong."""


def test_a_restart_begins_a_new_life_and_says_which(units: Units) -> None:
    app = units.running("app")
    before = units.identity(app)
    assert integration.running(before)
    assert before.state == "active/running"
    assert before.instance["started_at"] is not None
    assert abs(before.instance["started_at"] - time.time()) < 60
    after = units.changer(app).restart(before, agree)
    assert after == units.identity(app)
    assert integration.running(after)
    assert after.instance.get("invocation") not in (None, before.instance.get("invocation"))
    assert after.instance["pid"] not in (None, before.instance["pid"])
    assert units.starts("app") == 2


def test_another_life_than_the_judged_one_is_not_touched(units: Units) -> None:
    app = units.running("judged")
    now, looked = units.identity(app), []
    assert now.instance["pid"]
    assert now.instance["started_at"]
    for judged in (
        process_identity(now.instance["pid"], now.instance["started_at"], now.state, invocation="0" * 32),
        process_identity(
            now.instance["pid"] + 1, now.instance["started_at"], now.state, invocation=now.instance.get("invocation")
        ),
        process_identity(
            now.instance["pid"], now.instance["started_at"] - 1, now.state, invocation=now.instance.get("invocation")
        ),
        process_identity(None, None, "inactive/dead"),
    ):
        with pytest.raises(Refused, match="no longer the one that was judged"):
            units.changer(app).restart(judged, lambda: looked.append(1))
    assert units.identity(app) == now
    assert units.starts("judged") == 1
    assert not looked


def test_who_restarted_it_in_between_is_seen_by_the_invocation(units: Units) -> None:
    app = units.running("between")
    judged = units.identity(app)
    assert units.systemd.run("systemctl", "restart", app.name).returncode == 0
    with pytest.raises(Refused, match="no longer the one that was judged"):
        units.changer(app).restart(judged, agree)
    assert units.starts("between") == 2


def test_a_no_at_the_last_look_starts_nothing(units: Units) -> None:
    app = units.running("looked")
    before = units.identity(app)

    def too_late() -> None:
        raise Refused("the claim is gone")

    with pytest.raises(Refused, match="the claim is gone"):
        units.changer(app).restart(before, too_late)
    assert units.identity(app) == before
    assert units.starts("looked") == 1


def test_a_deadline_that_passed_during_the_last_look_starts_nothing(
    units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = units.running("deadline")
    before = units.identity(app)
    with pytest.raises(Refused, match="the 1m for restarting .* were over before it was sent"):
        units.changer(app).restart(before, lambda: later(monkeypatch, integration))
    assert units.identity(app) == before
    assert units.starts("deadline") == 1


def test_nothing_but_the_start_of_systemctl_follows_the_last_look(
    units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = units.running("order")
    before, seen = units.identity(app), []
    started = subprocess.Popen.__init__

    def noted(process: object, arguments: list[str], **how: object) -> None:
        seen.append("restart" if "restart" in arguments else "show" if "show" in arguments else str(arguments))
        started(process, arguments, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(subprocess.Popen, "__init__", noted)
    units.changer(app).restart(before, lambda: seen.append("last look"))
    assert seen == ["show", "last look", "restart", "show"]


def test_a_stopped_unit_is_started(units: Units) -> None:
    app = units.make("stopped")
    before = units.identity(app)
    assert (before.instance["pid"], before.state) == (None, "inactive/dead")
    assert integration.running(units.changer(app).restart(before, agree))
    assert units.starts("stopped") == 1


def test_a_failed_unit_is_started(units: Units) -> None:
    app = units.make("failed", start="[ -e $0.mended ] || exit 1; exec sleep infinity")
    units.systemd.run("systemctl", "start", app.name)
    before = units.comes_to(app, lambda seen: seen.state == "failed/failed")
    (units.systemd.folder / "failed.sh.mended").touch()
    assert integration.running(units.changer(app).restart(before, agree))
    assert units.starts("failed") == 2


def test_a_unit_that_does_not_come_up_is_useless_to_restart_and_says_its_state(units: Units) -> None:
    app = units.make("broken", start="exit 3", more="Type=notify")
    with pytest.raises(PermanentError, match=r"did not restart .*Job for broken\.service failed.* failed/failed now"):
        units.changer(app).restart(units.identity(app), agree)
    assert units.starts("broken") == 1


def test_a_unit_that_falls_right_after_its_start_is_told_by_its_state(units: Units) -> None:
    app = units.make("falls", start="until [ -e $0.go ]; do sleep 0.1; done; exit 3")
    before = units.identity(app)
    after = units.changer(app).restart(before, agree)  # systemd takes the start of a simple service for a success
    (units.systemd.folder / "falls.sh.go").touch()
    assert units.comes_to(app, lambda seen: not integration.running(seen)) == process_identity(
        None, None, "failed/failed", invocation=after.instance.get("invocation")
    )


def test_a_unit_that_systemd_tries_again_and_again_did_not_come_up(units: Units) -> None:
    app = units.make("again", start="exit 3", more="Type=forking\nRestart=always\nRestartSec=1h")
    with pytest.raises(PermanentError, match=r"it is activating/auto-restart now"):
        units.changer(app).restart(units.identity(app), agree)
    assert units.starts("again") == 1


def test_a_unit_whose_condition_does_not_hold_did_not_come_up(units: Units) -> None:
    app = units.make("condition", top="ConditionPathExists=/no/such/path")
    with pytest.raises(PermanentError, match="did not come up: it is inactive/dead now"):
        units.changer(app).restart(units.identity(app), agree)
    assert units.starts("condition") == 0


def test_a_running_unit_whose_condition_holds_no_more_was_stopped_and_did_not_come_up(units: Units) -> None:
    holds = units.systemd.folder / "holds"
    holds.touch()
    app = units.running("stops", start="exec sleep infinity", top=f"ConditionPathExists={holds}")
    holds.unlink()
    with pytest.raises(PermanentError, match="did not come up: it is inactive/dead now"):
        units.changer(app).restart(units.identity(app), agree)
    assert units.starts("stops") == 1


def test_a_unit_that_somebody_is_stopping_is_left_to_them(units: Units) -> None:
    app = units.running(
        "slow", start="trap '' TERM; while :; do sleep 0.1; done", more="TimeoutStopSec=infinity\nKillMode=process"
    )
    units.systemd.run("systemctl", "stop", "--no-block", app.name)
    stopping = units.comes_to(app, lambda seen: seen.state.startswith("deactivating/"))
    with pytest.raises(Refused, match="somebody else is at work"):
        units.changer(app).restart(stopping, agree)
    assert units.starts("slow") == 1


def test_a_stop_that_comes_during_the_last_look_is_not_replaced(units: Units) -> None:
    app = units.running(
        "raced", start="trap '' TERM; while :; do sleep 0.1; done", more="TimeoutStopSec=infinity\nKillMode=process"
    )

    def somebody_stops_it() -> None:
        units.systemd.run("systemctl", "stop", "--no-block", app.name)

    with pytest.raises(PermanentError, match="is destructive"):
        units.changer(app).restart(units.identity(app), somebody_stops_it)
    assert units.starts("raced") == 1


def test_a_job_that_hangs_is_unknown_and_goes_on(units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    go = units.systemd.folder / "go"
    app = units.running(
        "hung", start="exec sleep infinity", more=f"ExecStop=/bin/sh -c 'until [ -e {go} ]; do sleep 0.1; done'"
    )
    before = units.identity(app)

    def once_it_stops(*_: str) -> None:
        units.comes_to(app, lambda seen: seen.state.startswith("deactivating/"))
        later(monkeypatch, local_command)

    monkeypatch.setattr(integration, "kill_point", once_it_stops)
    with pytest.raises(OutcomeUnknown, match="has not ended it after 1m"):
        units.changer(app).restart(before, agree)
    monkeypatch.undo()
    assert units.starts("hung") == 1
    go.touch()
    after = units.comes_to(
        app,
        lambda seen: integration.running(seen) and seen.instance.get("invocation") != before.instance.get("invocation"),
    )
    assert after.instance["pid"] != before.instance["pid"]
    assert units.starts("hung") == 2


def test_a_systemctl_that_dies_leaves_the_outcome_open(units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    app = units.running("cut")
    before = units.identity(app)
    monkeypatch.setattr(integration, "restart", lambda _: ("sh", "-c", "echo connection timed out >&2; exit 1"))
    with pytest.raises(OutcomeUnknown, match="its outcome is open: connection timed out"):
        units.changer(app).restart(before, agree)
    monkeypatch.setattr(integration, "restart", lambda _: ("sh", "-c", "kill -9 $$"))
    with pytest.raises(OutcomeUnknown, match="its outcome is open"):
        units.changer(app).restart(before, agree)
    assert units.starts("cut") == 1


def test_a_systemctl_that_says_done_and_did_nothing_is_found_out(units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    app = units.running("lied")
    monkeypatch.setattr(integration, "restart", lambda _: ("true",))
    with pytest.raises(PermanentError, match="did not come up"):
        units.changer(app).restart(units.identity(app), agree)


@pytest.mark.parametrize("group", [False, True])
def test_a_client_that_dies_right_after_sending_leaves_one_whole_restart(units: Units, group: bool) -> None:
    name = f"client-{group}".lower()
    app = units.running(name, start="exec sleep infinity", more="ExecStop=/bin/sleep 0.5")
    before = units.identity(app)
    dying = textwrap.dedent(f"""
        import os, signal, time
        from datetime import timedelta
        from paramedic.integrations.targets import systemd
        from paramedic.remediation.target import Target
        from paramedic.transports.local import Local
        def die(*_):
            reader = systemd.Reader(target, Local({units.via!r}), timedelta(seconds=60))
            while reader.identity().state == "active/running":
                time.sleep(0.01)
            os.kill(0 if {group} else os.getpid(), signal.SIGKILL)  # 0 is the whole process group
        systemd.kill_point = die
        target = Target("elsewhere/{app.name}", "tracking", "elsewhere", "systemd", "{app.name}", "")
        reader = systemd.Reader(target, Local({units.via!r}), timedelta(seconds=60))
        systemd.Changer(target, Local({units.via!r}), timedelta(seconds=60)).restart(reader.identity(), lambda: None)
    """)
    client = subprocess.run([sys.executable, "-c", dying], start_new_session=True, check=False)
    assert client.returncode == -signal.SIGKILL
    units.comes_to(
        app,
        lambda seen: integration.running(seen) and seen.instance.get("invocation") != before.instance.get("invocation"),
    )
    assert units.starts(name) == 2


def test_an_unknown_unit_is_useless(units: Units) -> None:
    with pytest.raises(PermanentError, match=r"systemd has no unit no-such\.service"):
        units.identity(target("no-such.service"))


def test_a_masked_unit_is_useless(units: Units) -> None:
    (units.systemd.folder / "units" / "masked.service").symlink_to("/dev/null")
    units.systemd.run("systemctl", "daemon-reload")
    with pytest.raises(PermanentError, match=r"masked\.service is masked: .*`systemctl unmask` is a person's"):
        units.identity(target("masked.service"))


def test_a_unit_that_is_masked_during_the_last_look_is_not_started(units: Units) -> None:
    app = units.make("late-mask")

    def mask() -> None:
        file = units.systemd.folder / "units" / app.name
        file.unlink()
        file.symlink_to("/dev/null")
        units.systemd.run("systemctl", "daemon-reload")

    with pytest.raises(PermanentError, match="is masked"):
        units.changer(app).restart(units.identity(app), mask)
    assert units.starts("late-mask") == 0


def test_a_unit_file_that_says_nothing_is_useless(units: Units) -> None:
    units.systemd.unit("bad.service", "[Service]\nType=oneshot-ish\n")
    with pytest.raises(PermanentError, match=r"cannot use the unit file of bad\.service: bad-setting"):
        units.identity(target("bad.service"))


def test_another_name_of_a_unit_is_no_second_target(units: Units) -> None:
    app = units.make("real-name")
    (units.systemd.folder / "units" / "alias.service").symlink_to(app.name)
    units.systemd.run("systemctl", "daemon-reload")
    with pytest.raises(PermanentError, match=r"alias\.service is another name of real-name\.service"):
        units.identity(target("alias.service"))


def test_who_has_no_right_is_told_so_and_nothing_is_done(units: Units) -> None:
    app = units.running("rights")
    nobody = (*units.via, *NOBODY)
    before = Reader(app, Local(nobody), timedelta(seconds=60)).identity()  # looking is free
    assert before == units.identity(app)
    with pytest.raises(PermanentError, match=r"did not restart .*(Access denied|authentication required)"):
        Changer(app, Local(nobody), timedelta(seconds=60)).restart(before, agree)
    assert units.identity(app) == before
    assert units.starts("rights") == 1


def test_the_polkit_rule_in_the_docs_gives_the_right_to_restart_one_unit_and_nothing_else(
    require: Callable[[str], str],
) -> None:
    require("pkaction")  # who has it has polkitd
    page = (Path(__file__).parents[2] / "docs" / "targets.md").read_text()
    (rule,) = re.findall(r"```js\n(.*?)```", page, re.DOTALL)
    with systemd(require, rule.replace('"paramedic"', f'"{pwd.getpwuid(65534).pw_name}"')) as running:
        units = Units(running)
        nobody = (*running.via, *NOBODY)
        named, other = units.running("tracking-api"), units.running("other")
        assert integration.running(
            Changer(named, Local(nobody), timedelta(seconds=60)).restart(units.identity(named), agree)
        )
        with pytest.raises(PermanentError, match="authentication required"):
            Changer(other, Local(nobody), timedelta(seconds=60)).restart(units.identity(other), agree)
        stop = running.run(*NOBODY, "systemctl", "stop", "--no-ask-password", named.name)
        assert "authentication required" in stop.stderr
        assert (units.starts("tracking-api"), units.starts("other")) == (2, 1)


def test_a_systemd_that_hangs_is_asked_no_longer_than_the_time_out(units: Units) -> None:
    app = units.running("frozen")
    before = units.identity(app)
    os.kill(units.systemd.pid, signal.SIGSTOP)
    try:
        with pytest.raises(TemporaryError, match="did not answer about elsewhere/frozen.service in 300ms"):
            Reader(app, Local(units.via), timedelta(seconds=0.3)).identity()
        looked = []
        with pytest.raises(TemporaryError):
            Changer(app, Local(units.via), timedelta(seconds=0.3)).restart(before, lambda: looked.append(1))
        assert not looked
    finally:
        os.kill(units.systemd.pid, signal.SIGCONT)
    assert units.identity(app) == before


def test_the_journal_is_told_with_its_end_and_nothing_that_moves_a_terminal(units: Units) -> None:
    count = "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line $i; done"
    app = units.running("talks", start=f"{count}; printf 'red \\033[31m\\n'; echo the end; exec sleep infinity")
    reader = Reader(app, Local(units.via), timedelta(seconds=60))
    until = time.monotonic() + 60
    while "the end" not in (journal := reader.journal(lines=20)):
        assert time.monotonic() < until, journal
        time.sleep(0.05)
    assert len(journal.splitlines()) == 20
    assert "line 2000" in journal
    assert "line 1990\n" in journal
    assert "line 1970" not in journal
    assert "\033" not in journal
    assert "+0000 " in journal.splitlines()[0]


def test_a_journal_without_end_is_kept_within_bounds(units: Units) -> None:
    app = units.running(
        "floods",
        start=f"i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i {'x' * 500}; done; echo last; exec sleep infinity",
    )
    reader = Reader(app, Local(units.via), timedelta(seconds=60))
    until = time.monotonic() + 60
    while not (journal := reader.journal(lines=1000)).endswith("last\n"):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert len(journal) <= 16_384
    assert journal.startswith("20")  # a whole line


def test_a_unit_that_never_spoke_has_no_line(units: Units) -> None:
    app = units.make("silent")
    assert "no line of silent.service" in Reader(app, Local(units.via), timedelta(seconds=60)).journal()


def test_a_unit_of_another_machine_is_never_taken_for_one_of_this() -> None:
    app = target("app.service", host="no-such-host")
    for ask in (Reader(app, Local()).identity, Reader(app, Local()).journal, lambda: reading.evidence(app, "journal")):
        with pytest.raises(PermanentError, match=f"unit of no-such-host, and this machine is {socket.gethostname()}"):
            ask()
    looked = []
    with pytest.raises(PermanentError, match="only units here"):
        Changer(app, Local()).restart(process_identity(1, 1.0, "active/running"), lambda: looked.append(1))
    assert not looked


@pytest.mark.skipif(Path("/run/systemd/system").exists(), reason="this machine runs systemd")
def test_a_machine_without_systemd_says_so(require: Callable[[str], str]) -> None:
    require("systemctl")
    with pytest.raises(PermanentError, match="not been booted with systemd"):
        Reader(target("app.service", host=socket.gethostname()), Local()).identity()


def test_a_machine_without_systemctl_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PermanentError, match="no program"):
        Reader(target("app.service", host="localhost"), Local()).identity()
