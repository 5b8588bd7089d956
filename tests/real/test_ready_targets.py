"""`check: ready` at real owners: units of systemd here and by SSH, a container of podman's with a health check."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from podman_engine import Podman, serving
from ssh_servers import Sshd, relay, running
from systemd_container import PidOne
from systemd_units import Units
from waiting import until

from paramedic.checks.check import CheckSpec, Sample, check_spec
from paramedic.doors import reading
from paramedic.integrations.targets import systemd as integration
from paramedic.remediation.host import Host
from paramedic.remediation.target import Target
from paramedic.sampling import one_sample
from paramedic.transports.local import Local
from paramedic.transports.ssh import Ssh

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_warm")]

UP, DOWN = {"is_down": 0.0, "unready": 0.0}, {"is_down": 1.0, "unready": 100.0}


def look(target: Target) -> Sample:
    check = check_spec(CheckSpec)(check="ready", timeout="60s", every="60s").build()
    return one_sample.sample(check, target, now=lambda: datetime.now(UTC), last_heard=lambda _: None)


def on(host: Host, unit: Target) -> Target:
    return Target(f"{host.name}/{unit.name}", unit.service, host.name, "systemd", unit.name, "", machine=host)


@pytest.fixture(scope="module")
def there(require: Callable[[str], str], pid_one: PidOne) -> Iterator[Sshd]:
    with running(require, inside=pid_one.via) as server:
        yield server


@pytest.fixture(autouse=True)
def _to_the_test_s_systemd(monkeypatch: pytest.MonkeyPatch, pid_one: PidOne) -> None:
    """What is looked at here is in the namespaces of the test's systemd, and has the time of a busy machine."""

    def transport(target: Target) -> Local | Ssh:
        return Local(pid_one.via) if target.machine is None else Ssh(target.machine)

    monkeypatch.setattr(reading, "transport", transport)
    reader = integration.Reader
    monkeypatch.setattr(integration, "Reader", lambda of, way: reader(of, way, timedelta(seconds=60)))


def test_a_unit_that_failed_stopped_or_comes_up_again_and_again_is_down(units: Units, there: Sshd) -> None:
    up = units.running("ready-up")
    failed = units.make("ready-failed", start="exit 3")
    stopped = units.make("ready-stopped")
    looping = units.make("ready-looping", start="exit 3", more="Restart=always\nRestartSec=300")
    for unit in (failed, looping):
        units.systemd.run("systemctl", "start", unit.name)
    until("it has failed", lambda: units.identity(failed).state.startswith("failed/"))
    until("it waits for its next start", lambda: units.identity(looping).state == "activating/auto-restart")
    for unit, values, state in (
        (up, UP, "active/running"),
        (failed, DOWN, "failed/failed"),
        (stopped, DOWN, "inactive/dead"),
        (looping, DOWN, "activating/auto-restart"),
    ):
        for target in (unit, on(there.host(), unit)):
            seen = look(target)
            assert (seen.values, seen.why) == (values, f"its systemd says {state}")


@pytest.mark.parametrize("text", [None, "[Service]\nType=oneshot-ish\n"])
def test_a_unit_that_is_not_there_or_not_loaded_is_not_passed_over_it_is_unknown(
    units: Units, there: Sshd, text: str | None
) -> None:
    name = "ready-gone.service" if text is None else "ready-bad.service"
    if text is not None:
        units.systemd.unit(name, text)
    unit = Target(f"web-1/{name}", "api", "web-1", "systemd", name, "")
    for target in (unit, on(there.host(), unit)):
        seen = look(target)
        assert seen.values is None
        assert name in seen.why


def test_a_unit_whose_machine_is_gone_is_unknown_and_never_down(units: Units, there: Sshd) -> None:
    with relay(there) as way:
        unit = on(there.through(way), units.running("ready-far"))
        assert look(unit).values == UP
        way.close()
        seen = look(unit)
    assert seen.values is None
    assert unit.host in seen.why


@pytest.mark.costly
def test_a_container_whose_own_health_check_fails_is_up_and_not_ready(require: Callable[[str], str]) -> None:
    with serving(require) as podman:
        plain, checked = podman.start("plain"), with_a_health_check(podman)
        assert look_here(plain).values == UP
        assert look_here(checked).values == {"is_down": 0.0}, "its health check has not been asked yet"
        podman.run("exec", "checked", "sh", "-c", "echo > /well")
        podman.run("healthcheck", "run", "checked")
        assert look_here(checked).values == UP
        podman.run("exec", "checked", "sh", "-c", ": > /well")
        with pytest.raises(AssertionError):  # its command's exit code says so
            podman.run("healthcheck", "run", "checked")
        assert look_here(checked).values == {"is_down": 0.0, "unready": 100.0}
        podman.run("stop", "--time=0", "plain")
        assert look_here(plain).values == DOWN


def with_a_health_check(podman: Podman) -> Target:
    return podman.start(
        "checked",
        "while :; do sleep 0.1; done",
        "--health-cmd=test -s /well",
        "--health-interval=disable",
        "--health-retries=1",
    )


def look_here(target: Target) -> Sample:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "transport", lambda _: Local())
        return look(target)
