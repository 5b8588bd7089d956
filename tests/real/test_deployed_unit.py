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
from boundaries import Boundaries
from deployed_systemd import UID, UNIT, install, ship
from required import missing
from systemd_container import CannotRun, PidOne
from whole_paramedic import until

from paramedic.demo.world import Mailbox
from paramedic.machine.clock import iso, utc_now
from paramedic.store import Store, attempts, trail

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

#: The exposure that `systemd-analyze security` may see at most; 0 is none, 10 all.
EXPOSURE = 1.9

NAME = UNIT.name


#: The target of the runbook that `paramedic init` writes.
TARGET = "localhost/my-service.service"


class Deployed:
    """The unit in its systemd."""

    def __init__(self, systemd: PidOne, given: dict[str, str], mailbox: Mailbox) -> None:
        self.systemd = systemd
        self.port, self.prefect_port = given["PARAMEDIC_PORT"], given["PREFECT_SERVER_API_PORT"]
        self.mailbox = mailbox
        self.data = systemd.folder / "srv" / "data"
        self.boundaries = Boundaries(self.data / "boundaries")

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
        return _answers(f"http://127.0.0.1:{self.port}/readyz")


@pytest.fixture(scope="module")
def deployed(require: Callable[[str], str]) -> Iterator[Deployed]:
    folder = Path(tempfile.mkdtemp(prefix="sd"))
    folder.chmod(0o755)
    with Mailbox() as mailbox:
        given = install(
            folder,
            PARAMEDIC_KILL_POINTS="/srv/paramedic/data/boundaries",
            PARAMEDIC_SMTP_URL=mailbox.url,
            PARAMEDIC_MAIL_FROM="paramedic@example.org",
        )
        boundaries = folder / "srv" / "data" / "boundaries"
        boundaries.mkdir(mode=0o700)
        os.chown(boundaries, UID, UID)
        try:
            systemd = PidOne(require, folder)
        except CannotRun as no:
            shutil.rmtree(folder)
            missing(str(no))
        try:
            ship(folder)
            assert systemd.run("systemctl", "daemon-reload").returncode == 0
            yield Deployed(systemd, given, mailbox)
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


def test_the_prefect_ui_is_served_though_its_code_may_not_be_written(deployed: Deployed) -> None:
    prefect = f"http://127.0.0.1:{deployed.prefect_port}"
    until(lambda: _answers(f"{prefect}/api/health"), "Prefect", 300)
    page = httpx.get(prefect, follow_redirects=True, timeout=30, trust_env=False)
    assert (page.status_code, "<title>Prefect" in page.text) == (200, True), page.text[:500]


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


def test_killed_it_is_back_and_finishes_what_it_had_begun(deployed: Deployed) -> None:
    """The kernel ends `up` in mid-run, and with it the run: systemd starts it again, and a second attempt ends the incident."""
    deployed.boundaries.arm("claimed", TARGET)
    assert _alert(deployed).status_code == 202
    deployed.boundaries.wait("claimed", lambda: None, seconds=300)
    main = deployed.process()
    main.kill()
    until(lambda: not main.is_running(), "its death", 30)
    deployed.boundaries.release("claimed", TARGET)
    until(lambda: deployed.shows("NRestarts") == "1" and deployed.shows("ActiveState") == "active", "its next start")
    assert deployed.healthy(), deployed.log()
    assert deployed.process().pid != main.pid
    try:
        until(lambda: _ended_by(deployed) == [1, 2], "the end of what it had begun, by a second attempt", 300)
    except AssertionError as error:
        raise AssertionError(_told(deployed)) from error
    until(lambda: deployed.mailbox.about("INC-1"), "a word to a person", 120)


def _told(deployed: Deployed) -> str:
    """The trail, and what each process has logged."""
    with Store(f"sqlite:///{deployed.data}/paramedic.db").read() as tx:
        lines = [f"{entry.at} {entry.actor} {entry.what}: {entry.reason}" for entry in trail.entries(tx)]
    logs = [f"{path.name}: {path.read_text()[-1500:]}" for path in sorted((deployed.data / "logs").iterdir())]
    return "\n".join([*lines, *logs])


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _ended_by(deployed: Deployed) -> list[int] | None:
    """The attempts at INC-1, once it waits for nothing of ours."""
    with Store(f"sqlite:///{deployed.data}/paramedic.db").read() as tx:
        made = attempts.of(tx, 1)
        return None if made[-1].state == "open" else [attempt.attempt for attempt in made]


def _alert(deployed: Deployed) -> httpx.Response:
    alert = {
        "status": "firing",
        "labels": {"alertname": "MyServiceDown", "instance": "localhost", "severity": "critical"},
        "annotations": {},
        "startsAt": iso(utc_now()),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": "f404ecabc8dd5cd7",
    }
    common = {"groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "", "truncatedAlerts": 0}
    body = {"version": "4", "groupKey": "{}", "status": "firing", "receiver": "paramedic", "alerts": [alert]} | common
    token = (deployed.data / "gateway-token").read_text().strip()
    url = f"http://127.0.0.1:{deployed.port}/alerts/alertmanager"
    return httpx.post(url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=30, trust_env=False)
