"""The systemd unit that is shipped, in a real systemd: it becomes active once alerts are accepted, and may do little."""

from collections.abc import Callable, Iterator

import httpx
import psutil
import pytest
from boundaries import Boundaries
from deployed_systemd import FETCHES, GIVEN, Machine, machine, may_do_little
from production_page import blocks
from whole_paramedic import until

from paramedic.demo.world import Mailbox, free_port
from paramedic.machine.clock import iso, utc_now
from paramedic.settings import ROOT
from paramedic.store import Store, attempts, generation, kill_switch, trail

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

UNIT = ROOT / "deployments" / "systemd" / "paramedic.service"
NAME = UNIT.name


#: The target of the runbook that `paramedic init` writes.
TARGET = "localhost/my-service.service"


class Deployed:
    """The unit on its machine."""

    def __init__(self, machine: Machine, given: dict[str, str], mailbox: Mailbox) -> None:
        self.machine = machine
        self.port, self.prefect_port = given["PARAMEDIC_PORT"], given["PREFECT_SERVER_API_PORT"]
        self.mailbox = mailbox
        self.data = machine.srv / "paramedic" / "data"
        self.boundaries = Boundaries(self.data / "boundaries")

    def shows(self, name: str) -> str:
        return self.machine.shows(NAME, name)

    def process(self) -> psutil.Process:
        return self.machine.process(NAME)

    def log(self) -> str:
        return self.machine.log(NAME)

    def healthy(self) -> bool:
        return _answers(f"http://127.0.0.1:{self.port}/readyz")


@pytest.fixture(scope="module")
def deployed(require: Callable[[str], str]) -> Iterator[Deployed]:
    """Installed by the commands of the page, up to the last one, which starts it."""
    user, unit, _ = blocks("Where it runs")
    with Mailbox() as mailbox, machine(require) as here:
        given = {
            "PARAMEDIC_PORT": str(free_port()),
            "PREFECT_SERVER_API_PORT": str(free_port()),
            "PARAMEDIC_KILL_POINTS": "/srv/paramedic/data/boundaries",
            "PARAMEDIC_SMTP_URL": mailbox.url,
            "PARAMEDIC_MAIL_FROM": "paramedic@example.org",
        }
        here.plays(user, GIVEN)
        here.plays(
            unit, {"systemctl enable --now paramedic": "install -d -m 0700 -o paramedic /srv/paramedic/data/boundaries"}
        )
        with (here.root / "etc/default/paramedic").open("a") as out:
            out.writelines(f"{name}={value}\n" for name, value in given.items())
        yield Deployed(here, given, mailbox)


def test_systemd_finds_nothing_wrong_with_the_unit(deployed: Deployed) -> None:
    found = deployed.machine.systemd.run("systemd-analyze", "verify", "--man=no", f"/etc/systemd/system/{NAME}")
    assert (found.returncode, [line for line in found.stderr.splitlines() if NAME in line]) == (0, [])


def test_it_becomes_active_with_the_gateway_gives_signs_of_life_and_may_do_little(deployed: Deployed) -> None:
    *_, last = blocks("Where it runs")[1].strip().splitlines()
    assert last == "systemctl enable --now paramedic"
    deployed.machine.plays(last)
    assert deployed.shows("ActiveState") == "active", deployed.log()
    assert deployed.shows("UnitFileState") == "enabled"
    assert deployed.healthy(), deployed.log()  # active says that alerts are accepted: no waiting for it
    assert deployed.shows("WatchdogUSec") == "2min"
    fed = deployed.shows("WatchdogTimestampMonotonic")
    until(lambda: deployed.shows("WatchdogTimestampMonotonic") != fed, "a sign of life", 10)

    may_do_little(deployed.process(), NAME, "/srv/paramedic/data")


def test_the_prefect_ui_is_served_though_its_code_may_not_be_written(deployed: Deployed) -> None:
    prefect = f"http://127.0.0.1:{deployed.prefect_port}"
    until(lambda: _answers(f"{prefect}/api/health"), "Prefect", 300)
    page = httpx.get(prefect, follow_redirects=True, timeout=30, trust_env=False)
    assert (page.status_code, "<title>Prefect" in page.text) == (200, True), page.text[:500]


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


def test_doctor_speaks_for_the_unit(deployed: Deployed) -> None:
    """With the settings and secrets of the unit, as its user; what it says is missing is for another test."""
    said = deployed.machine.plays(
        blocks("Where it runs")[2], {"\nparamedic doctor": "\nparamedic doctor || test $? = 1"}
    )
    assert "/srv/paramedic/data" in said
    assert "mail" in said


def test_what_the_page_backs_up_it_restores_and_then_a_person_lets_it_act(deployed: Deployed) -> None:
    [back_up], [restore] = blocks("Backup"), blocks("Restore")
    deployed.machine.plays(back_up)
    [file] = (deployed.data.parent / "backups").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    said = deployed.machine.plays(restore, {"FILE": file.name})
    assert "INC-1" in said
    with Store(f"sqlite:///{deployed.data}/paramedic.db").read() as tx:
        assert generation(tx) == 2
        assert kill_switch.standing(tx) == []
    assert deployed.healthy(), deployed.log()


def test_the_upgrade_of_the_page_ends_with_everything_up(deployed: Deployed) -> None:
    """The schema of a release before is in the tests of the roles, on PostgreSQL."""
    [upgrade] = blocks("Upgrade")
    given = {FETCHES: "true", "\nparamedic doctor": "\nparamedic doctor || test $? = 1"}
    said = deployed.machine.plays(upgrade, given)
    assert "there is nothing to do" in said
    assert deployed.shows("ActiveState") == "active", deployed.log()
    assert deployed.healthy(), deployed.log()
    assert (deployed.data.parent / "backups" / "before-VERSION").exists()


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
