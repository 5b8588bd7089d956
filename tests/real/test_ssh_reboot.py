"""A reboot by a real SSH server, on a machine whose boot id and systemctl are the test's: no real one is rebooted."""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sudo_user
from reboot_stage import STAGE, Stage, server_of
from ssh_servers import Relay, Sshd, relay
from waiting import until
from whole_machine import FIRST, SECOND, agree

from paramedic.doors import changing, reading
from paramedic.errors import OutcomeUnknown, PermanentError, Refused
from paramedic.integrations.targets import machine as kind
from paramedic.kinds.transport import Mark, MarkState
from paramedic.remediation.host import Host
from paramedic.remediation.target import Target
from paramedic.transports import ssh_connection

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("as_root")]

WITHIN = timedelta(seconds=60)


@pytest.fixture(scope="module")
def staged() -> Iterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="boot"))
    folder.chmod(0o755)
    yield Stage(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def there(require: Callable[[str], str], staged: Stage) -> Iterator[Sshd]:
    with server_of(require, staged) as server:
        yield server
    ssh_connection.close_all()


@pytest.fixture
def stage(staged: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(kind, "AGAIN_SECONDS", 0.05)
    staged.reset()
    return staged


@pytest.fixture
def way(there: Sshd) -> Iterator[Relay]:
    with relay(there) as made:
        yield made


def machine(host: Host) -> Target:
    words = kind.Words()
    return Target(f"{host.name}/machine:system", "shop", host.name, "machine", "system", "", machine=host, words=words)


def changer(of: Target, act: str, within: timedelta = WITHIN) -> kind.Changer:
    made = changing.changer(of, within, act=act)
    assert isinstance(made, kind.Changer)
    return made


def test_a_machine_that_goes_away_and_comes_back_in_another_boot_was_rebooted(
    stage: Stage, there: Sshd, way: Relay
) -> None:
    of = machine(there.through(way))
    before = reading.identity(of)
    assert (before.instance, before.state) == ({"boot": FIRST}, "running")

    def go_down_and_come_back() -> None:
        until("it is told to reboot", stage.told_to_reboot, 30)
        way.cut()  # sshd is stopped; every new connection is cut too, until it is up
        stage.is_now(FIRST, "stopping")
        way.cut()
        stage.is_now(SECOND, "starting", "activating start")
        way.cut()
        stage.is_now(SECOND, "running")

    outside = threading.Thread(target=go_down_and_come_back)
    outside.start()
    made = changer(of, "act-reboot-1")
    after = made.reboot(before, agree)
    outside.join()
    assert after.instance == {"boot": SECOND}
    assert stage.reboots() == 1
    assert f"boot {SECOND} instead of {FIRST}" in made.did
    assert reading.restarted(of, before, reading.identity(of))


def test_one_that_does_not_come_back_is_unknown_and_its_mark_does_not_say_that_it_never_began(
    stage: Stage, there: Sshd
) -> None:
    of = machine(there.host())
    with pytest.raises(OutcomeUnknown, match="was told to reboot, and is in no other boot"):
        changer(of, "act-reboot-2", timedelta(seconds=4)).reboot(reading.identity(of), agree)
    mark = reading.mark(of, "act-reboot-2", "reboot")
    assert mark is not None
    assert mark.state is MarkState.HAPPENED, "systemctl has passed it on: who looks at the boot knows more"
    assert stage.reboots() == 1


def test_a_systemctl_that_hangs_is_ended_there_and_the_boot_is_looked_at_all_the_same(
    stage: Stage, there: Sshd, way: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "_PASSED_ON_SECONDS", 1.0)
    monkeypatch.setattr(kind, "GUARD", timedelta(seconds=1))
    (stage.folder / "hangs").touch()
    of = machine(there.through(way))
    before = reading.identity(of)

    def go_away() -> None:
        until("it is told to reboot", stage.told_to_reboot, 30)
        way.close()  # nobody of ours is there to end it

    outside = threading.Thread(target=go_away)
    outside.start()
    with pytest.raises(OutcomeUnknown, match="was told to reboot"):
        changer(of, "act-reboot-7", timedelta(seconds=4)).reboot(before, agree)
    outside.join()
    again = machine(there.host())
    until("its host has ended it", lambda: _mark(again, "act-reboot-7").state is MarkState.HAPPENED, 20)
    assert _mark(again, "act-reboot-7").limited
    assert "its time there was over, and it was ended" in _mark(again, "act-reboot-7").words


def _mark(of: Target, act: str) -> Mark:
    found = reading.mark(of, act, "reboot")
    assert found is not None
    return found


def test_one_whose_service_does_not_come_back_has_failed(stage: Stage, there: Sshd) -> None:
    of = machine(there.host())
    before = reading.identity(of)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "kill_point", lambda *_: stage.is_now(SECOND, "degraded", "failed failed"))
        with pytest.raises(PermanentError, match=rf"rebooted \(boot {SECOND}\).*app\.service \(failed/failed\)"):
            changer(of, "act-reboot-3", timedelta(seconds=4)).reboot(before, agree)


def test_a_boot_in_between_and_a_no_of_systemd_reboot_nothing(stage: Stage, there: Sshd) -> None:
    of = machine(there.host())
    before = reading.identity(of)
    stage.is_now(SECOND, "running")
    with pytest.raises(Refused, match="has booted since it was judged"):
        changer(of, "act-reboot-4").reboot(before, agree)
    (stage.folder / "no").touch()
    with pytest.raises(PermanentError, match="systemd did not reboot web-7/machine:system: Call to Reboot failed"):
        changer(of, "act-reboot-5").reboot(reading.identity(of), agree)
    assert stage.reboots() == 0


def test_our_own_machine_by_ssh_is_our_own_machine(sshd: Sshd) -> None:
    """A login to loopback, or a container of this host: another name, and the same kernel."""
    why = reading.forbidden(machine(sshd.host()), "reboot")
    assert why is not None
    assert "web-7 is the machine that Paramedic runs on" in why


def test_doctor_names_the_sudoers_line_that_a_reboot_needs(require: Callable[[str], str], stage: Stage) -> None:
    inside = ("sh", "-c", STAGE, str(stage.folder))
    with (
        tempfile.TemporaryDirectory(prefix="helper") as etc,
        sudo_user.helper(require, open_folder(etc), inside=inside) as (server, sudoers),
    ):
        of = machine(server.host(sudo=True))
        line = "helper ALL=(root) NOPASSWD: /usr/bin/systemctl reboot --no-pager --no-ask-password"
        assert reading.forbidden(of, "reboot") == f"web-7 lacks a line in its sudoers: `{line}`"
        by_itself = reading.forbidden(machine(server.host()), "reboot")
        assert by_itself is not None
        assert "the user helper may not reboot it" in by_itself
        assert f"`{line}`" in by_itself
        sudo_user.allow(sudoers, f"{line}\n")
        assert reading.forbidden(of, "reboot") is None
        assert stage.reboots() == 0


def open_folder(name: str) -> Path:
    Path(name).chmod(0o755)
    return Path(name)
