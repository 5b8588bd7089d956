"""A real systemd: which units are targets, who may restart them, and what their journals tell."""

import os
import pwd
import signal
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from systemd_units import Units, agree, rule_of, systemd, target

from paramedic.doors import reading
from paramedic.errors import PermanentError, TemporaryError
from paramedic.integrations.targets import systemd as integration
from paramedic.integrations.targets.systemd import Changer, Reader
from paramedic.kinds.process_target import process_identity
from paramedic.transports.local import Local

pytestmark = pytest.mark.real

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")


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


@pytest.mark.parametrize("file", ["docs/targets.md", "deployments/systemd/50-paramedic.rules"])
def test_the_polkit_rule_that_we_give_allows_the_restart_of_one_unit_and_nothing_else(
    require: Callable[[str], str], file: str
) -> None:
    require("pkaction")  # who has it has polkitd
    rule = rule_of(file)
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
    while "the end" not in (journal := reader.journal(lines=20).text):
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
    while not (journal := (seen := reader.journal(lines=1000)).text).endswith("last\n"):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert len(journal) <= 16_384
    assert journal.startswith("20")  # a whole line
    assert seen.unseen == [
        "lines before these: at most 16,384 bytes of it are kept; `journalctl --unit=floods.service` shows them"
    ]


def test_a_unit_that_never_spoke_has_no_line(units: Units) -> None:
    app = units.make("silent")
    assert "no line of silent.service" in Reader(app, Local(units.via), timedelta(seconds=60)).journal().text


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
