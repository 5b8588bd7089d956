"""What is compared before a reboot and after it, at a real systemd that boots twice with the same units."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from required import missing
from systemd_container import CannotRun, PidOne
from waiting import soon, until

from paramedic.kinds.machine_facts import Look, Unit, failed_since, must_return, not_again, would_stay_down
from paramedic.transports.local import Local

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("as_root")]

ONESHOT = "[Service]\nType=oneshot\nRemainAfterExit=yes\n"
TESTED = "ExecStart=/bin/sh -c '[ ! -e {folder}/breaks ]'\n"
INSTALL = "[Install]\nWantedBy=basic.target\n"

UNITS = {
    "app.service": "[Service]\nExecStart=/bin/sleep infinity\n",
    "fire.service": f"{ONESHOT}{TESTED}",
    "job.service": f"[Service]\nType=oneshot\n{TESTED}",
    "first.service": f"[Unit]\nConditionPathExists=!{{folder}}/breaks\n{ONESHOT}ExecStart=/bin/true\n",
    "always.service": f"{ONESHOT}ExecStart=/bin/false\n",
    "a.socket": "[Socket]\nListenStream=/run/a.sock\n",
    "a.service": "[Service]\nExecStart=/bin/sleep infinity\n",
    "run-data.mount": "[Mount]\nWhat=tmpfs\nWhere=/run/data\nType=tmpfs\n",
    "t.timer": "[Timer]\nOnBootSec=1h\n",
    "t.service": "[Service]\nExecStart=/bin/true\n",
}
BY_HAND = {
    "hand.service": f"[Service]\nExecStart=/bin/sleep infinity\n{INSTALL}",
    "hand.timer": f"[Timer]\nOnBootSec=1h\nUnit=t.service\n{INSTALL}",
}


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="units") as name:
        made = Path(name)
        wants = made / "units" / "basic.target.wants"
        wants.mkdir(parents=True)
        for unit, text in {**UNITS, **BY_HAND}.items():
            written = f"[Unit]\nDefaultDependencies=no\n{text.replace('{folder}', name)}"
            (made / "units" / unit).write_text(written)
        for unit in UNITS.keys() - {"a.service", "t.service"}:
            (wants / unit).symlink_to(f"../{unit}")
        yield made


def booted(require: Callable[[str], str], folder: Path) -> PidOne:
    try:
        return PidOne(require, folder)
    except CannotRun as error:
        missing(str(error))
        raise


def units(machine: PidOne) -> Mapping[str, Unit]:
    """What is loaded once the boot's jobs have ended."""
    until("it has booted", lambda: machine.run("systemctl", "list-jobs").stdout.startswith("No jobs"), 60)
    return Look(Local(machine.via), soon()).units()


def test_what_was_active_is_missed_by_its_name_and_what_had_failed_or_has_nothing_to_do_is_not(
    require: Callable[[str], str], folder: Path
) -> None:
    machine = booted(require, folder)
    try:
        assert machine.run("systemctl", "start", *BY_HAND).returncode == 0
        before = units(machine)
    finally:
        machine.end()
    listed = ["a.socket", "app.service", "fire.service", "first.service", "run-data.mount", "t.timer"]
    wanted = must_return(before, (), ())
    assert [name for name in wanted if name in UNITS] == listed
    assert before["always.service"].failed
    assert would_stay_down(before, ()) == ["hand.service", "hand.timer"]

    (folder / "breaks").touch()
    (folder / "units" / "run-data.mount").write_text(
        "[Unit]\nDefaultDependencies=no\n[Mount]\nWhat=/none\nWhere=/run/data\n"
    )
    (folder / "units" / "a.socket").write_text("[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/proc/none/a\n")
    (folder / "units" / "basic.target.wants" / "t.timer").unlink()
    machine = booted(require, folder)
    try:
        now = units(machine)
    finally:
        machine.end()
    assert not_again(before, now, wanted, ()) == [
        "a.socket (failed/failed)",
        "fire.service (failed/failed)",
        "run-data.mount (failed/failed)",
        "t.timer (not loaded)",
    ]
    assert failed_since(before, now, ()) == [
        "a.socket (failed/failed)",
        "fire.service (failed/failed)",
        "job.service (failed/failed)",
        "run-data.mount (failed/failed)",
    ]
    assert not_again(before, now, ["first.service"], ["first.service"]) == ["first.service (inactive/dead)"]


def test_a_machine_that_boots_as_before_misses_nothing(require: Callable[[str], str], folder: Path) -> None:
    seen = []
    for _ in range(2):
        machine = booted(require, folder)
        try:
            seen.append(units(machine))
        finally:
            machine.end()
    before, now = seen
    assert len(must_return(before, (), ())) >= 6
    assert not_again(before, now, must_return(before, (), ()), ()) == []
    assert failed_since(before, now, ()) == []
