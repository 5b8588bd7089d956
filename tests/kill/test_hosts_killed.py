"""A host is changed, and SIGKILL meets the run at a boundary: one reboot, deletion or block at most, and nobody forgets it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import disk_stage
import firewall_stage
import pytest
from disk_stage import filled, tmpfs
from fake_service import Service, service
from firewall_stage import firewall
from host_story import ATTACKER, BLOCK, BLOCKLIST, DISK, FREE, HOST, REBOOT, Story, story
from kill.killed_runs import RIGHT, FirstRuns, KilledRun, first_runs, rows
from reboot_stage import Stage as Machine
from reboot_stage import away
from ssh_servers import Sshd
from waiting import until
from whole_machine import FIRST, SECOND

from paramedic.doors import changing, reading
from paramedic.incidents.outcome import Ending
from paramedic.integrations.targets import disk as disk_kind
from paramedic.integrations.targets import machine as machine_kind
from paramedic.transports.local import Local
from tasks import playbook
from tasks.verify import stays_healthy

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(300), pytest.mark.usefixtures("as_root")]
__all__ = ["away", "firewall", "first_runs", "service", "story", "tmpfs"]

#: The machine, and what kills a run on it at a boundary; times: how often it is rebooted then.
Hung = tuple[Machine, Callable[..., KilledRun]]

#: A blocklist is the same one with an address more, and nothing else tells of who put it there.
UNSEEN = {**RIGHT, "act_sent": (Ending.HANDED_OVER, 1)}


# --- a machine, whose reboot is the test's ---------------------------------------------------------------------------------


def with_patience(front: str, times: int = 1) -> str:
    """A change that was made has time to help, however busy the machine is; what was not made helps never."""
    assert "within: 3s" in front
    return front.replace("within: 3s", "within: 60s" if times else "within: 1s")


def quickly(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(machine_kind, "AGAIN_SECONDS", 0.05)


@pytest.fixture
def hung(
    away: tuple[Machine, Sshd], service: Service, story: Story, first_runs: FirstRuns, monkeypatch: pytest.MonkeyPatch
) -> Hung:
    """A machine whose service has failed."""
    quickly(monkeypatch)
    machine, server = away
    machine.reset()
    machine.is_now(FIRST, "running", "failed failed")
    port = str(service.server_address[1])

    def killed_at(point: str, times: int = 1) -> KilledRun:
        story.written(HOST.format(host=server), with_patience(REBOOT.replace("PORT", port), times))
        run = KilledRun(story, first_runs, quickly)
        run.killed_at(point, instance="web-7")
        if point == "act_sent":
            until("it is told to reboot", machine.told_to_reboot)
        return run

    return machine, killed_at


@pytest.mark.parametrize(("point", "ending", "times"), rows(RIGHT, short=RIGHT))
def test_a_reboot_whose_run_dies_is_made_once_at_most(hung: Hung, point: str, ending: Ending, times: int) -> None:
    machine, killed_at = hung
    with machine.comes_back("active running"):
        run = killed_at(point, times)
        outcome = run.is_followed()
    assert (outcome.ending, machine.reboots()) == (ending, times), run.story.words()


def test_one_that_is_still_on_its_way_when_its_run_dies_is_waited_for(hung: Hung) -> None:
    machine, killed_at = hung
    run = killed_at("act_sent")
    with machine.comes_back("active running", looks=machine.looks() + 4):
        outcome = run.is_followed()
    assert (outcome.ending, machine.reboots()) == (Ending.REMEDIATED, 1), run.story.words()


def test_one_that_is_well_in_the_boot_that_it_was_to_leave_is_not_called_rebooted(hung: Hung) -> None:
    machine, killed_at = hung
    run = killed_at("act_sent")
    machine.is_now(FIRST, "running", "active running")
    outcome = run.is_followed()
    assert (outcome.ending, machine.reboots()) == (Ending.HANDED_OVER, 1), run.story.words()
    assert "systemd has taken the order; only another boot proves it" in outcome.because
    assert outcome.because.endswith("the target is well")


def test_one_that_is_well_before_it_goes_down_is_verified_again_in_its_new_boot(
    hung: Hung, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, killed_at = hung
    run = killed_at("act_sent")
    machine.is_now(FIRST, "running", "active running")
    verified = []

    def then_it_boots(*what: Any) -> bool:
        verified.append(what)
        if len(verified) > 1:
            return False
        well = stays_healthy(*what)
        machine.is_now(SECOND, "running", "failed failed")
        return well

    monkeypatch.setattr(playbook, "stays_healthy", then_it_boots)
    outcome = run.is_followed()
    assert (outcome.ending, machine.reboots(), len(verified)) == (Ending.HANDED_OVER, 1, 2), run.story.words()
    assert outcome.because.endswith("the target is still failing")


# --- a disk ----------------------------------------------------------------------------------------------------------------


def settled(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(disk_kind, "SETTLES_SECONDS", 0.2)


@pytest.fixture
def of_a_disk(story: Story, first_runs: FirstRuns, monkeypatch: pytest.MonkeyPatch) -> KilledRun:
    settled(monkeypatch)
    return KilledRun(story, first_runs, settled)


@pytest.mark.parametrize(("point", "ending", "times"), rows(RIGHT))
def test_old_files_are_deleted_once_and_nothing_that_has_come_since(
    tmpfs: disk_stage.Stage, of_a_disk: KilledRun, point: str, ending: Ending, times: int
) -> None:
    run, story = of_a_disk, of_a_disk.story
    tmpfs.empty()
    story.written(DISK.format(root=tmpfs.root, logs=tmpfs.logs), with_patience(FREE.replace("MODE", "act"), times))
    old = filled(tmpfs.logs / "old.gz", 3)
    filled(tmpfs.logs / "young.gz", 0.5)
    run.killed_at(point, instance="localhost", mountpoint=str(tmpfs.root))
    since = disk_stage.old(tmpfs.logs / "since.gz") if point != "evidence_taken" else None
    outcome = run.is_followed()
    assert (outcome.ending, not old.exists()) == (ending, bool(times)), story.words()
    assert since is None or since.exists()
    assert len(story.acts()) == 1


# --- a blocklist -----------------------------------------------------------------------------------------------------------


def inside(via: tuple[str, ...], patch: pytest.MonkeyPatch) -> None:
    for door in (reading, changing):
        patch.setattr(door, "transport", lambda *_, **__: Local(via))


@pytest.fixture
def of_a_blocklist(
    firewall: firewall_stage.Stage, story: Story, first_runs: FirstRuns, monkeypatch: pytest.MonkeyPatch
) -> KilledRun:
    inside(firewall.via, monkeypatch)
    firewall.reset()
    return KilledRun(story, first_runs, partial(inside, firewall.via))


@pytest.mark.parametrize(("point", "ending", "times"), rows(UNSEEN))
def test_an_address_is_blocked_once(
    firewall: firewall_stage.Stage, service: Service, of_a_blocklist: KilledRun, point: str, ending: Ending, times: int
) -> None:
    run, story = of_a_blocklist, of_a_blocklist.story
    story.written(BLOCKLIST.format(health=service.url), with_patience(BLOCK, times))
    with firewall.heals(service, ATTACKER):
        run.killed_at(point, instance="localhost", blocklist="abusers", client_ip=ATTACKER)
        outcome = run.is_followed()
    assert (outcome.ending, sorted(firewall.blocked())) == (ending, [ATTACKER] * times), story.words()
    assert len(story.acts()) == 1
