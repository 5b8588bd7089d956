"""An alert about a host is followed to its end: evidence, a person's word, the remedy, its proof, and who is told of it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import disk_stage
import firewall_stage
import pytest
from disk_stage import filled, tmpfs
from fake_service import Service, service
from firewall_stage import firewall
from host_story import ATTACKER, BLOCK, BLOCKLIST, DISK, FREE, HOST, REBOOT, Story, in_order, story
from reboot_stage import Stage as Machine
from reboot_stage import away
from ssh_servers import Sshd
from whole_machine import FIRST, SECOND

from paramedic.doors import changing, reading
from paramedic.incidents.outcome import Ending
from paramedic.integrations.targets import disk as disk_kind
from paramedic.integrations.targets import machine as machine_kind
from paramedic.transports.local import Local

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("as_root")]
__all__ = ["away", "firewall", "service", "story", "tmpfs"]

LEFT = (Ending.HANDED_OVER, "no remedy of the ladder is left, still failing; 1 pieces of evidence are kept")


# --- an address in a blocklist ------------------------------------------------------------------------------------------


@pytest.fixture
def attacked(
    firewall: firewall_stage.Stage, service: Service, story: Story, monkeypatch: pytest.MonkeyPatch
) -> Iterator[firewall_stage.Stage]:
    """A service that answers 503 for as long as the attacker's packets come through."""
    firewall.reset()
    for door in (reading, changing):
        monkeypatch.setattr(door, "transport", lambda *_, **__: Local(firewall.via))
    story.written(BLOCKLIST.format(health=service.url), BLOCK)
    with firewall.heals(service, ATTACKER):
        yield firewall


def test_an_address_is_blocked_once_a_person_has_approved_it_and_the_service_is_well(
    attacked: firewall_stage.Stage, story: Story
) -> None:
    outcome = story.play(instance="localhost", blocklist="abusers", client_ip=ATTACKER)
    assert outcome.ending is Ending.REMEDIATED, story.words()
    assert sorted(attacked.blocked()) == [ATTACKER]
    [asked] = story.asked
    assert f"approve block_address (address {ATTACKER}; for 1h)?" in asked.replace("\n ", " ")
    assert f"It touches:\n    address {ATTACKER}; for 1h" in asked
    assert story.acts() == [("block_address", "cured")]
    assert story.trail(*in_order("block_address")) == in_order("block_address")
    assert "the set blocked4: 0" in story.evidence()["blocked"], "as it was before"
    assert ATTACKER not in story.words(), "people's addresses stand where they can be erased"
    assert "ada@example.org" in story.told()
    assert "remediated" in story.told()


def test_an_address_that_joins_while_a_person_is_asked_is_not_blocked_with_the_other(
    attacked: firewall_stage.Stage, story: Story
) -> None:
    story.before_the_answer = lambda: story.joined_by(
        instance="localhost", blocklist="abusers", client_ip="198.51.100.1"
    )
    outcome = story.play(instance="localhost", blocklist="abusers", client_ip=ATTACKER)
    assert outcome.ending is Ending.REFUSED
    assert "ada approved it for what the alerts named then, and by now they name more" in outcome.because
    assert attacked.blocked() == {}
    assert story.acts() == []
    assert "and by now they name more" in story.told().replace("\n", " ")


def test_what_a_person_denies_is_not_done_and_the_incident_is_theirs(
    attacked: firewall_stage.Stage, story: Story
) -> None:
    story.answers = False
    outcome = story.play(instance="localhost", blocklist="abusers", client_ip=ATTACKER)
    assert outcome.ending is Ending.REFUSED
    assert "ada denied the block_address of localhost/blocklist:abusers" in outcome.because
    assert attacked.blocked() == {}
    assert len(story.mails()) > len(story.asked), "whoever is on call has it"


def test_a_block_that_does_not_help_goes_to_a_person_with_what_was_done(
    attacked: firewall_stage.Stage, story: Story
) -> None:
    outcome = story.play(instance="localhost", blocklist="abusers", client_ip="203.0.113.99")
    assert (outcome.ending, outcome.because) == LEFT
    assert sorted(attacked.blocked()) == ["203.0.113.99"], "it leaves by itself"
    assert story.acts() == [("block_address", "done")]
    told = story.told()
    assert "did block_address on localhost/blocklist:abusers: done" in told
    assert "still not well: " in told
    assert "answered 503" in told


# --- old files of a disk --------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmpfs: disk_stage.Stage, story: Story, monkeypatch: pytest.MonkeyPatch) -> Iterator[disk_stage.Stage]:
    """A disk that is too full: 3 of its 4 MB are taken."""
    monkeypatch.setattr(disk_kind, "SETTLES_SECONDS", 0.2)
    tmpfs.empty()
    yield tmpfs
    tmpfs.empty()


@pytest.mark.parametrize("mode", ["ask", "act"])
def test_a_full_disk_is_freed_of_what_services_yaml_names_and_is_verified_by_its_free_space(
    disk: disk_stage.Stage, story: Story, mode: str
) -> None:
    story.written(DISK.format(root=disk.root, logs=disk.logs), FREE.replace("MODE", mode))
    old, young = filled(disk.logs / "old.gz", 3), filled(disk.logs / "young.gz", 0.5)
    outcome = story.play(instance="localhost", mountpoint=str(disk.root))
    assert outcome.ending is Ending.REMEDIATED, story.words()
    assert (old.exists(), young.exists()) == (False, True)
    assert story.acts() == [("free_disk", "cured")]
    assert str(old) in story.evidence()["files"]
    assert "old.gz  deleted" in story.evidence()["output of free_disk"]
    order = (
        in_order("free_disk")
        if mode == "ask"
        else ["evidence.taken", "free_disk", "free_disk.done", "verification.well"]
    )
    assert story.trail(*order) == order
    if mode == "act":
        assert story.asked == []
        return
    [asked] = story.asked
    assert "approve free_disk (1 file (1.5 MB))?" in asked.replace("\n ", " ")
    assert f"    {old} (1.5 MB)\n" in asked
    assert str(young) not in asked
    assert "remediated" in story.told()


def test_a_disk_that_stays_too_full_goes_to_a_person_with_what_was_deleted(
    disk: disk_stage.Stage, story: Story
) -> None:
    story.written(DISK.format(root=disk.root, logs=disk.logs), FREE.replace("MODE", "act"))
    little = disk_stage.old(disk.logs / "little.gz", 3)
    stays = [filled(disk.logs / "young.gz", 0.5), filled(disk.logs / "app.log", 9)]
    outcome = story.play(instance="localhost", mountpoint=str(disk.root))
    assert (outcome.ending, outcome.because) == LEFT
    assert not little.exists()
    assert [file.exists() for file in stays] == [True, True]
    assert story.acts() == [("free_disk", "done")]
    told = story.told()
    assert f"did free_disk on localhost/disk:{disk.root}: done" in told
    assert "still not well: " in told


def test_a_disk_of_which_nothing_may_be_deleted_is_a_persons_and_nobody_is_asked(
    disk: disk_stage.Stage, story: Story
) -> None:
    story.written(DISK.format(root=disk.root, logs=disk.logs), FREE.replace("MODE", "ask"))
    filled(disk.logs / "young.gz", 0.5)
    filled(disk.logs / "younger.gz", 0.1)
    outcome = story.play(instance="localhost", mountpoint=str(disk.root))
    assert outcome.ending is Ending.REFUSED
    assert "may be deleted: none is old enough" in outcome.because
    assert (story.asked, story.acts()) == ([], [])
    assert "none is old enough" in story.told()


# --- a machine, whose reboot is the test's ---------------------------------------------------------------------------------


@pytest.fixture
def hung(
    away: tuple[Machine, Sshd], service: Service, story: Story, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Machine]]:
    """A machine whose service has failed. `hung(state)`: once it is told to reboot it comes back, with the service so."""
    monkeypatch.setattr(machine_kind, "AGAIN_SECONDS", 0.05)
    machine, server = away
    machine.reset()
    machine.is_now(FIRST, "running", "failed failed")
    story.written(HOST.format(host=server), REBOOT.replace("PORT", str(service.server_address[1])))
    with ExitStack() as outside:

        def made(returns: str) -> Machine:
            outside.enter_context(machine.comes_back(returns))
            return machine

        yield made


def test_a_machine_is_rebooted_once_a_person_has_approved_it_and_its_service_runs_again(
    hung: Callable[[str], Machine], story: Story
) -> None:
    machine = hung("active running")
    outcome = story.play(instance="web-7")
    assert outcome.ending is Ending.REMEDIATED, story.words()
    assert machine.reboots() == 1
    [asked] = story.asked
    assert "approve reboot?" in asked.replace("\n ", " ")
    assert f"boot {FIRST}" in asked.replace("\n", " "), "which boot is asked about"
    assert story.acts() == [("reboot", "cured")]
    assert story.trail(*in_order("reboot")) == in_order("reboot")
    assert "units" in story.evidence()
    assert f"boot {SECOND} instead of {FIRST}" in story.words()
    assert "remediated" in story.told()


def test_a_machine_that_comes_back_without_its_service_goes_to_a_person_and_is_not_rebooted_again(
    hung: Callable[[str], Machine], story: Story
) -> None:
    machine = hung("failed failed")
    outcome = story.play(instance="web-7")
    assert (outcome.ending, outcome.because) == LEFT
    assert machine.reboots() == 1
    assert story.acts() == [("reboot", "done")], (
        "it is in another boot, and what did not run before need not run after it"
    )
    told = story.told().replace("\n", " ")
    assert "did reboot on web-7/machine:system: done" in told
    assert "still not well: " in told
    assert "without app.service (failed/failed)" in told


def test_a_reboot_that_was_approved_for_another_boot_is_not_made(hung: Callable[[str], Machine], story: Story) -> None:
    machine = hung("active running")
    story.before_the_answer = lambda: machine.is_now(SECOND, "running", "failed failed")
    outcome = story.play(instance="web-7")
    assert outcome.ending is Ending.REFUSED
    assert f"ada approved it for boot {FIRST}" in outcome.because
    assert story.acts() == []
