"""The systemd unit that is shipped, in a real systemd: it becomes active once alerts are accepted, and may do little."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from deployed_systemd import UID, UNIT, install, ship
from required import missing
from systemd_container import CannotRun, PidOne
from whole_paramedic import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

#: The exposure that `systemd-analyze security` may see at most; 0 is none, 10 all.
EXPOSURE = 1.9

NAME = UNIT.name


class Deployed:
    """The unit in its systemd."""

    def __init__(self, systemd: PidOne, port: str) -> None:
        self.systemd = systemd
        self.port = port

    def shows(self, name: str) -> str:
        return self.systemd.run("systemctl", "show", "--value", f"--property={name}", NAME).stdout.strip()

    def process(self) -> psutil.Process:
        """Its main process. Its pid inside is the one of the namespace."""
        for process in psutil.process_iter(["uids"]):
            if process.info["uids"].real == UID and process.parent().pid == self.systemd.pid:
                return process
        raise AssertionError(f"no process of {NAME} runs:\n{self.log()}")

    def log(self) -> str:
        return self.systemd.run("journalctl", "--no-pager", "-u", NAME).stdout

    def healthy(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5).is_success
        except httpx.HTTPError:
            return False


@pytest.fixture(scope="module")
def deployed(require: Callable[[str], str]) -> Iterator[Deployed]:
    folder = Path(tempfile.mkdtemp(prefix="sd"))
    folder.chmod(0o755)
    given = install(folder)
    try:
        systemd = PidOne(require, folder)
    except CannotRun as no:
        shutil.rmtree(folder)
        missing(str(no))
    try:
        ship(folder)
        assert systemd.run("systemctl", "daemon-reload").returncode == 0
        yield Deployed(systemd, given["PARAMEDIC_PORT"])
    finally:
        systemd.end()
        shutil.rmtree(folder)


def test_systemd_finds_nothing_wrong_with_the_unit(deployed: Deployed) -> None:
    found = deployed.systemd.run("systemd-analyze", "verify", "--man=no", str(deployed.systemd.folder / "units" / NAME))
    assert (found.returncode, [line for line in found.stderr.splitlines() if NAME in line]) == (0, [])


def test_its_exposure_stays_low(require: Callable[[str], str]) -> None:
    command = (require("systemd-analyze"), "security", "--offline=true", f"--threshold={EXPOSURE * 10:.0f}", str(UNIT))
    found = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stdout + found.stderr
    (level,) = re.findall(r"exposure level for paramedic\.service: ([\d.]+)", found.stdout)
    assert 0 < float(level) <= EXPOSURE


def test_it_becomes_active_with_the_gateway_gives_signs_of_life_and_may_do_little(deployed: Deployed) -> None:
    systemd = deployed.systemd
    assert systemd.run("systemctl", "start", "--no-block", NAME).returncode == 0
    until(lambda: deployed.shows("ActiveState") in ("active", "failed"), "the unit")
    assert deployed.shows("ActiveState") == "active", deployed.log()
    assert deployed.healthy(), deployed.log()  # active says that alerts are accepted: no waiting for it
    assert deployed.shows("WatchdogUSec") == "2min"
    fed = deployed.shows("WatchdogTimestampMonotonic")
    until(lambda: deployed.shows("WatchdogTimestampMonotonic") != fed, "a sign of life", 10)

    _may_do_little(deployed.process())


def _may_do_little(main: psutil.Process) -> None:
    """What the kernel says of each process, and what it lets the main one see of the file system."""
    for process in (main, *main.children(recursive=True)):
        status = dict(re.findall(r"^(\w+):\s+(.*)$", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE))
        assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}, process.cmdline()
        assert (status["NoNewPrivs"], status["Seccomp"], status["Uid"].split()[0]) == ("1", "2", str(UID))
    mounts = [line.split() for line in Path(f"/proc/{main.pid}/mountinfo").read_text().splitlines()]
    writable = {mount[4] for mount in mounts if "rw" in mount[5].split(",")}
    assert "/srv/paramedic/data" in writable
    assert not {"/", "/srv", "/srv/paramedic", "/opt", "/opt/paramedic", "/etc"} & writable
    assert not os.listdir(f"/proc/{main.pid}/root/root")  # noqa: PTH208 - nothing of anybody's home
