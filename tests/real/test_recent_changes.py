"""What changed on a host in the last day, by its real dpkg, its real systemd and its real files."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from systemd_units import Units
from waiting import until

from paramedic.change.gathering import Look, gather
from paramedic.doors import reading
from paramedic.machine.clock import utc_now
from paramedic.remediation.host import Host
from paramedic.remediation.target import Target
from paramedic.transports.local import Local

pytestmark = pytest.mark.real

CONTROL = """\
Package: paramedic-test-{name}
Version: {version}
Architecture: all
Maintainer: nobody <nobody@example.org>
Description: of a test
"""


@pytest.fixture
def looked(units: Units, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What is told of the host of the units."""
    monkeypatch.setattr(reading, "transport", lambda *_, **__: Local(units.via))

    def look(at: Target) -> Look:
        at = replace(at, machine=Host(at.host))
        [seen] = gather(at, ("recent-changes",), since=utc_now() - timedelta(hours=1), patience=timedelta(seconds=60))
        return seen

    def body(at: Target) -> str:
        seen = look(at)
        assert seen.piece is not None, seen.fault
        return seen.piece.body

    return body


def rows(text: str) -> set[str]:
    return {line.partition("Z  ")[2] for line in text.splitlines()}


def test_services_that_were_started_stopped_restarted_or_failed(units: Units, looked: Callable[..., str]) -> None:
    run = units.systemd.run
    assert run("systemctl", "log-target", "journal").returncode == 0  # as everywhere but in this container
    units.running("begun")
    units.running("again")
    assert run("systemctl", "restart", "again.service").returncode == 0
    units.running("ended")
    assert run("systemctl", "stop", "ended.service").returncode == 0
    broken = units.make("broken", start="exit 7")
    run("systemctl", "start", broken.name)
    until("it has failed", lambda: run("systemctl", "is-failed", broken.name).stdout.strip() == "failed")
    units.make("once", start="exit 0", more="Type=oneshot")
    assert run("systemctl", "start", "once.service").returncode == 0
    told = rows(looked(broken))
    assert "service begun.service was started" in told
    assert "service again.service was restarted" in told
    assert "service ended.service stopped" in told
    assert "service broken.service failed: exit-code" in told
    assert {"service once.service was started", "service once.service ran to its end"} & told


def test_packages_by_a_real_dpkg_in_the_host_s_own_time(
    units: Units, looked: Callable[..., str], require: Callable[[str], str], tmp_path: Path
) -> None:
    require("dpkg-deb")
    admin = tmp_path / "admin"
    for folder in ("updates", "info"):
        (admin / folder).mkdir(parents=True)
    (admin / "status").touch()
    (tmp_path / "root").mkdir()
    dpkg = ["dpkg", f"--admindir={admin}", f"--instdir={tmp_path / 'root'}", "--log=/var/log/dpkg.log"]

    def installed(name: str, version: str) -> None:
        made = tmp_path / f"{name}-{version}"
        (made / "DEBIAN").mkdir(parents=True)
        (made / "DEBIAN" / "control").write_text(CONTROL.format(name=name, version=version))
        subprocess.run(["dpkg-deb", "--build", made, f"{made}.deb"], check=True, capture_output=True)
        done = units.systemd.run(*dpkg, "-i", f"{made}.deb")  # its log is in a /var/log of the namespace alone
        assert done.returncode == 0, done.stderr

    installed("shop", "1.0-1")
    installed("shop", "1.1-1")
    done = units.systemd.run(*dpkg, "--purge", "paramedic-test-shop")
    assert done.returncode == 0, done.stderr
    told = looked(units.make("any"))
    packages = [line for line in told.splitlines() if "paramedic-test-shop" in line]
    assert {line.partition("Z  package paramedic-test-shop:all: ")[2] for line in packages} >= {
        "install 1.0-1",
        "upgrade 1.0-1 to 1.1-1",
        "remove 1.1-1",
    }
    newest = told.splitlines()[: told.splitlines().index(packages[-1]) + 1]
    assert not any("what is wrong began" in line for line in newest), "its time is not an hour off"


def test_unit_files_and_an_application_s_configuration_with_nothing_of_its_content(
    units: Units, looked: Callable[..., str], tmp_path: Path
) -> None:
    units.systemd.run("sh", "-c", "mkdir -p /run/systemd/system && touch '/run/systemd/system/of the test.service'")
    (tmp_path / "conf.d" / "deeper").mkdir(parents=True)
    (tmp_path / "conf.d" / "deeper" / "a b.conf").write_text("password = hunter2-of-the-test\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_text("hunter3-of-the-test")
    (tmp_path / "conf.d" / "out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "linked").symlink_to(tmp_path / "conf.d")
    at = replace(units.make("any"), configuration=(str(tmp_path / "linked"), "/nowhere/$(id)"))
    text = looked(at)
    told = rows(text)
    assert "unit file /run/systemd/system/of the test.service" in told
    assert f"configuration {tmp_path}/linked/deeper/a b.conf" in told
    assert f"configuration {tmp_path}/linked/out" in told, "the link, and not where it leads"
    assert f"configuration, an entry added or removed in {tmp_path}/linked/deeper" in told
    assert f"{tmp_path}/linked/out/" not in text
    assert "hunter" not in text
    assert (tmp_path / "conf.d" / "deeper" / "a b.conf").exists()


def test_what_is_not_there_is_said(units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "transport", lambda *_, **__: Local(units.via))
    at = replace(units.make("any"), machine=Host("elsewhere"), configuration=("/nowhere/conf.d",))
    [seen] = gather(at, ("recent-changes",), since=utc_now(), patience=timedelta(seconds=60))
    assert "configuration: /nowhere/conf.d is not there, or this user may not look into its folder" in seen.unseen
    assert not any(re.search(r"services that were started|when the host started", why) for why in seen.unseen)
