"""Which units have to be active again once a machine has rebooted: services, sockets, mounts, timers, as they were before."""

from datetime import timedelta
from typing import Any

import pytest
from whole_machine import Machine, Unit, agree, judged, target

from paramedic.errors import PermanentError
from paramedic.integrations.targets import machine as kind

SOON, LATER = timedelta(milliseconds=100), timedelta(seconds=10)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "AGAIN_SECONDS", 0.001)


def rebooted(machine: Machine, within: timedelta = SOON, **words: Any) -> str:
    """What it says of its reboot."""
    changer = kind.Changer(target(**words), machine, within)  # type: ignore[arg-type]
    changer.reboot(judged(machine), agree)
    return changer.did


@pytest.mark.parametrize(
    ("name", "before", "returns"),
    [
        ("nftables.service", "active/exited", "inactive/dead"),
        ("nftables.service", "active/exited", "failed/failed"),
        ("app.socket", "active/listening", "failed/failed"),
        ("data.mount", "active/mounted", "inactive/dead"),
        ("backup.timer", "active/waiting", "inactive/dead"),
        ("app.service", "active/running", "active/exited"),
    ],
)
def test_every_unit_that_was_active_has_to_be_again_whatever_its_kind(name: str, before: str, returns: str) -> None:
    machine = Machine(**{"sshd": Unit(), name: Unit(state=before, returns=returns)})
    with pytest.raises(PermanentError, match=rf"is not what it was: {name} \({returns}\)$"):
        rebooted(machine)
    back = Machine(**{"sshd": Unit(file="static"), name: Unit(state=before, file="static", returns=before)})
    did = rebooted(back, LATER)
    assert "the 2 units that have to be active are" in did
    never_started = Machine(**{name: Unit(state=before, returns="inactive/dead", conditions="no", judged_at="0")})
    with pytest.raises(PermanentError, match=rf"is not what it was: {name}"):
        rebooted(never_started)
    let_go = Machine(**{"sshd": Unit(), name: Unit(state=before, returns=returns)})
    rebooted(let_go, LATER, without=[name])


def test_what_has_failed_since_is_named_and_what_a_timer_starts_is_not_the_boots() -> None:
    job = Unit(state="inactive/dead", returns="failed/failed")
    machine = Machine(app=Unit(), job=job)
    with pytest.raises(PermanentError, match=r"is not what it was: failed since: job\.service \(failed/failed\)$"):
        rebooted(machine)
    by_timer = Machine(app=Unit(), job=Unit(state="inactive/dead", triggered="job.timer", returns="failed/failed"))
    rebooted(by_timer, LATER)
    both = Machine(app=Unit(), job=Unit(state="active/running", returns="failed/failed"))
    with pytest.raises(PermanentError, match=r"was: job\.service \(failed/failed\)$"):
        rebooted(both)


def test_a_mount_of_fstab_that_boot_does_not_make_and_a_login_s_own_are_not_waited_for() -> None:
    units = {
        "mnt-usb.mount": Unit(state="active/mounted", file="generated", wanted="", returns="inactive/dead"),
        "run-user-1000.mount": Unit(
            state="active/mounted", file="", wanted="user@1000.service", returns="inactive/dead"
        ),
        "user@1000.service": Unit(file="static", wanted="user-1000.slice", returns="inactive/dead"),
    }
    machine = Machine(**{"sshd": Unit(), **units})
    did = rebooted(machine, LATER)
    assert "the one unit that has to be active is" in did


def test_what_services_yaml_names_is_up_when_it_is_as_its_kind_is() -> None:
    needed = target(units=["fire.service", "a.socket", "d.mount", "t.timer"])
    up = {
        "fire": Unit(state="active/exited", type="oneshot"),
        "a.socket": Unit(state="active/listening"),
        "d.mount": Unit(state="active/mounted"),
        "t.timer": Unit(state="active/waiting"),
    }
    assert kind.running(judged(Machine(**up), needed))
    up["fire"] = Unit(state="active/exited")
    assert judged(Machine(**up), needed).state == "running, without fire.service (active/exited)"
