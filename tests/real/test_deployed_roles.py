"""The units of each role in a real systemd, by the page's commands: doors, rights, a standing still, an upgrade."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from built_image import accepted
from deployed_roles import BEFORE, INTERNAL, TOKEN, Deployed, deploying
from deployed_systemd import FETCHES, may_do_little
from production_page import PAGE, blocks
from production_servers import PREFECT_LOGIN, REDIS_PASSWORD, answers
from waiting import until

from paramedic.settings import ROOT
from paramedic.store.migrations import revision_of
from paramedic.store.running_processes import ROLES

pytestmark = [pytest.mark.real, pytest.mark.costly, pytest.mark.timeout(1200)]

#: The exposure that `systemd-analyze security` may see at most; 0 is none, 10 all.
EXPOSURE = 1.9

#: A standing still is noticed so soon here.
WATCHDOG_SECONDS = 6

SYSTEMD = ROOT / "deployments" / "systemd"

UNITS = [*(f"paramedic@{role}" for role in ROLES), "prefect-server"]


@pytest.fixture(scope="module")
def deployed(require: Callable[[str], str]) -> Iterator[Deployed]:
    with deploying(require) as made:
        yield made


def test_systemd_finds_nothing_wrong_with_the_units(deployed: Deployed) -> None:
    units = deployed.machine.root / "etc" / "systemd" / "system"
    names = sorted(path.name.replace("@.", "@gateway.") for path in units.glob("*.service"))
    assert len(names) == 4
    found = deployed.machine.systemd.run(
        "systemd-analyze", "verify", "--man=no", *(f"/etc/systemd/system/{name}" for name in names)
    )
    faults = [line for line in found.stderr.splitlines() if line.startswith(("paramedic", "prefect"))]
    assert (found.returncode, faults) == (0, [])


@pytest.mark.parametrize("unit", sorted(SYSTEMD.glob("*.service")), ids=lambda unit: unit.stem)
def test_the_exposure_of_each_unit_stays_low(require: Callable[[str], str], unit: Path) -> None:
    command = (require("systemd-analyze"), "security", "--offline=true", f"--threshold={EXPOSURE * 10:.0f}", str(unit))
    found = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stdout + found.stderr
    (level,) = re.findall(r"exposure level for \S+: ([\d.]+)", found.stdout)
    assert 0 < float(level) <= EXPOSURE


def test_each_is_active_once_it_serves_on_the_schema_of_its_version_and_may_do_little(deployed: Deployed) -> None:
    here, gateway = deployed.machine, f"http://127.0.0.1:{deployed.ports.gateway}"
    assert revision_of(deployed.owner()) == BEFORE
    for line in [line for line in blocks("Units for each role")[1].splitlines() if "enable" in line]:
        here.plays(line)
        if "prefect-server" in line:
            assert answers(
                f"http://127.0.0.1:{deployed.ports.prefects}/api/health"
            )  # active says so: no waiting for it
    assert answers(f"{gateway}/readyz")
    assert revision_of(deployed.owner()) > BEFORE
    assert len(list((here.root / "var/lib/paramedic/migrate").glob("before-upgrade-*.backup"))) == 1
    for unit in UNITS:
        assert here.shows(unit, "ActiveState") == "active", here.log(unit)
        assert here.shows(unit, "NRestarts") == "0", here.log(unit)
        state = "prefect-server" if unit == "prefect-server" else f"paramedic/{unit.partition('@')[2]}"
        real = str(here.systemd.run("readlink", "-f", f"/var/lib/{state}").stdout.strip())  # of a dynamic user a link
        may_do_little(here.process(unit), unit, real)
    for unit in ("paramedic-migrate", "prefect-migrate"):
        assert here.shows(unit, "Result") == "success", here.log(unit)


def test_what_runs_may_not_change_the_trail_and_no_unit_tells_a_secret(deployed: Deployed) -> None:
    """Not to those either who may ask systemd for a unit's properties."""
    for right, has in {"INSERT": True, "UPDATE": False, "DELETE": False}.items():
        may = f"SELECT has_table_privilege('paramedic_runtime', 'trail', '{right}')"
        assert deployed.database.postgres.run(may, "paramedic") == [(has,)], right
    for unit in (*UNITS, "paramedic-migrate", "prefect-migrate"):
        shown = deployed.machine.systemd.run("systemctl", "show", unit).stdout
        assert not [secret for secret in ("PASSWORD-", TOKEN, REDIS_PASSWORD, PREFECT_LOGIN) if secret in shown], unit


def test_every_connection_to_the_databases_is_by_tls(deployed: Deployed) -> None:
    sessions = "SELECT DISTINCT usename::text, ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename <> 'postgres'"
    assert sorted(deployed.database.postgres.run(sessions)) == [("paramedic_runtime", True), ("prefect", True)]


def test_an_alert_goes_through_by_the_public_door_and_so_does_the_link_of_its_message(deployed: Deployed) -> None:
    until("a 202", lambda: accepted(deployed.public, TOKEN, "MyServiceDown", deployed.trusting))
    deployed.ends(1)
    opens(deployed, 1)


def links(deployed: Deployed, number: int) -> list[str]:
    """The links to acknowledge by, in the first message about the incident."""
    body = deployed.mailbox.about(f"INC-{number}")[0].get_body(("plain",))
    assert body is not None
    return re.findall(rf"{deployed.public}/ack/\S+", body.get_content())


def opens(deployed: Deployed, number: int) -> None:
    """A person reaches the incident's page by the link of its message."""
    with httpx.Client(verify=deployed.trusting, trust_env=False) as person:
        assert f"INC-{number}" in person.get(links(deployed, number)[0]).raise_for_status().text


def test_the_public_door_passes_what_is_for_senders_and_people_and_nothing_else(deployed: Deployed) -> None:
    with httpx.Client(verify=deployed.trusting, trust_env=False, base_url=deployed.public) as anybody:
        for path in ("/alerts/alertmanager", "/heartbeats/backup", "/deployments"):
            assert anybody.post(path, json={}).status_code == 401, path  # the gateway's own word
        for path in ("/ack/x", "/approve/x"):
            assert "nginx" not in anybody.get(path).text, path
        for path in (
            "/",
            "/metrics",
            "/healthz",
            "/readyz",
            "/openapi.json",
            "/api/health",
            "/alerts",
            "/alertsx/y",
            "/deployments/x",
        ):
            answer = anybody.get(path)
            assert (answer.status_code, "nginx" in answer.text) == (404, True), path
    with (
        httpx.Client(trust_env=False) as stranger,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        stranger.get(deployed.public)


@pytest.mark.parametrize("door", ["inner_gateway", "inner_prefect"])
def test_the_inner_doors_take_only_who_shows_a_certificate_of_the_authority(deployed: Deployed, door: str) -> None:
    """nginx itself shows one; another authority's counts for nothing."""
    path = "/readyz" if door == "inner_gateway" else "/api/health"
    address = f"https://127.0.0.1:{getattr(deployed.ports, door)}{path}"
    statuses = []
    for shown in (None, deployed.authority.issued(INTERNAL)):
        context = deployed.trusting
        context.check_hostname = False
        if shown is not None:
            context.load_cert_chain(*shown)
        with httpx.Client(verify=context, trust_env=False) as machine:
            statuses.append(machine.get(address).status_code)
    assert statuses == [400, 200]


def test_doctor_speaks_for_a_role_by_the_folder_that_it_keeps(deployed: Deployed) -> None:
    """As the page calls it, outside the unit: with the role's settings, its key of links too."""
    [call] = re.findall(r"`(paramedic doctor --data \S+)`", PAGE.read_text())
    said = deployed.machine.plays(f"{call} || test $? = 1")
    assert f"store {deployed.store().uuid}" in said, said
    assert "may alter the trail" not in said, said
    assert "a worker of the pool paramedic is online" in said, said
    assert f"links in messages begin with {deployed.public}" in said, said


def test_another_token_is_brought_in_without_a_refusal(deployed: Deployed) -> None:
    """As the page has it: both count meanwhile."""
    new, file = "another-token-of-the-sender-of-32", deployed.machine.root / "etc/paramedic/roles.env"
    before = file.read_text()

    def known(tokens: dict[str, str]) -> list[bool]:
        file.write_text(before.replace(json.dumps({"alertmanager": TOKEN}), json.dumps(tokens)))
        deployed.machine.plays("systemctl restart paramedic@gateway")
        return [accepted(deployed.public, token, "MyServiceDown", deployed.trusting) for token in (TOKEN, new)]

    assert known({"alertmanager": TOKEN, "alertmanager-2": new}) == [True, True]
    assert known({"alertmanager-2": new}) == [False, True]
    assert known({"alertmanager": TOKEN}) == [True, False]


def test_other_passwords_another_login_and_another_key_of_links_are_brought_in(deployed: Deployed) -> None:
    """As the page has it for each; the links of before count no more. The alerts of the next tests go through on these."""
    here, [before, *_] = deployed.machine, links(deployed, 1)
    for role, old, new in (("paramedic_runtime", "PASSWORD-2", "PASSWORD-5"), ("prefect", "PASSWORD-3", "PASSWORD-6")):
        deployed.database.postgres.run(f"ALTER ROLE {role} PASSWORD '{new}'")
        deployed.replace(old, new)
    deployed.says_to_redis("ACL", "SETUSER", "default", ">another-password")
    deployed.replace(REDIS_PASSWORD, "another-password")
    deployed.replace(PREFECT_LOGIN, "paramedic:another-login")
    [key] = [line for line in blocks("Units for each role")[1].splitlines() if line.startswith("head -c 32")]
    here.plays(f"{key}\nsystemctl restart prefect-server\nsystemctl restart {' '.join(UNITS[:-1])}")
    deployed.says_to_redis("ACL", "SETUSER", "default", f"<{REDIS_PASSWORD}")
    for unit in UNITS:
        assert here.shows(unit, "ActiveState") == "active", here.log(unit)
    with httpx.Client(verify=deployed.trusting, trust_env=False) as person:
        assert "INC-1" not in person.get(before).text


@pytest.mark.parametrize("unit", ["paramedic@responder", "prefect-server"])
def test_one_that_stands_still_is_ended_by_its_watchdog_and_started_again(deployed: Deployed, unit: str) -> None:
    here = deployed.machine
    folder = here.root / "etc" / "systemd" / "system" / f"{unit}.service.d"
    folder.mkdir()
    (folder / "sooner.conf").write_text(f"[Service]\nWatchdogSec={WATCHDOG_SECONDS}\n")
    here.plays(f"systemctl daemon-reload\nsystemctl restart {unit}")
    main = here.process(unit)
    family = [main, *main.children(recursive=True)]
    os.kill(main.pid, signal.SIGSTOP)
    until("its end", lambda: not main.is_running(), 60)
    until("its next start", lambda: here.shows(unit, "ActiveState") == "active", 300)
    assert here.shows(unit, "NRestarts") == "1", here.log(unit)
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == [], "what it had started goes on"
    assert here.process(unit).pid != main.pid


def test_after_that_and_after_an_upgrade_an_alert_goes_through(deployed: Deployed) -> None:
    [upgrade] = blocks("Upgrade of several machines")
    deployed.machine.plays(upgrade, {FETCHES: "true"})
    for unit in UNITS:
        assert deployed.machine.shows(unit, "ActiveState") == "active", deployed.machine.log(unit)
    until("a 202", lambda: accepted(deployed.public, TOKEN, "AnotherDown", deployed.trusting))
    deployed.ends(2)
    opens(deployed, 2)
