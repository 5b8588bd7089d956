"""A reload through a real systemd: the unit that was judged goes on, or it is said in words what became of it."""

import subprocess
from collections.abc import Callable

import pytest
from systemd_units import Units, agree, later

from paramedic.errors import OutcomeUnknown, PermanentError, Refused
from paramedic.kinds.process_target import process_of
from paramedic.processes import unit_change
from paramedic.processes.unit import running
from paramedic.transports import local_command

pytestmark = pytest.mark.real

#: A program that counts its reloads, and one that knows nothing of SIGHUP.
COUNTS = "trap 'echo x >> $0.reloads' HUP; while :; do sleep 0.05; done"
UNKNOWING = "exec sleep infinity"

BY_SIGNAL = "ExecReload=/bin/kill -HUP $MAINPID"


def reloads(units: Units, name: str) -> int:
    file = units.systemd.folder / f"{name}.sh.reloads"
    return len(file.read_text().splitlines()) if file.exists() else 0


def test_a_reload_leaves_the_instance_that_was_judged_and_says_so(units: Units) -> None:
    app = units.running("reloads", start=COUNTS, more=BY_SIGNAL)
    before, changer = units.identity(app), units.changer(app)
    after = changer.reload(before, agree)
    assert after == units.identity(app) == before
    assert changer.did == f"systemd reloaded {app.id}, and process {before.instance['pid']} goes on"
    assert (reloads(units, "reloads"), units.starts("reloads")) == (1, 1)


def test_a_unit_that_has_no_way_to_reload_is_told_before_anything_is_sent(units: Units) -> None:
    """The owners of rsyslog's unit took ExecReload= out of it on purpose (rsyslog/rsyslog#5114)."""
    app, looked = units.running("plain"), []
    before = units.identity(app)
    with pytest.raises(PermanentError, match="has neither ExecReload= nor Type=notify-reload"):
        units.changer(app).reload(before, lambda: looked.append(1))
    assert (units.identity(app), looked) == (before, [])


@pytest.mark.parametrize("start", [UNKNOWING, "exit 3"], ids=["stopped", "failed"])
def test_a_unit_that_does_not_run_is_not_reloaded(units: Units, start: str) -> None:
    name = f"down-{len(start)}"
    app, looked = units.make(name, start=start, more=BY_SIGNAL), []
    if start == "exit 3":
        units.systemd.run("systemctl", "start", app.name)
        units.comes_to(app, lambda seen: seen.state == "failed/failed")
    with pytest.raises(PermanentError, match="only a unit that runs can be reloaded"):
        units.changer(app).reload(units.identity(app), lambda: looked.append(1))
    assert not looked
    assert not running(units.identity(app))


def test_a_program_that_dies_by_the_signal_is_a_failure_though_systemd_calls_it_done(units: Units) -> None:
    """For systemd an end by SIGHUP is a clean one (systemd/systemd#34042, PixlOne/logiops#84)."""
    app = units.running("dies", start=UNKNOWING, more=BY_SIGNAL)
    with pytest.raises(PermanentError, match=r"died by its reload: it is inactive/dead now\. A program that handles"):
        units.changer(app).reload(units.identity(app), agree)
    assert units.starts("dies") == 1


def test_a_program_that_dies_by_it_and_is_started_again_was_not_reloaded(units: Units) -> None:
    """graft-project/graft-ng#261: the restart hid that the reload never worked."""
    app = units.running("again", start=UNKNOWING, more=f"{BY_SIGNAL}\nRestart=always\nRestartSec=0")
    before = units.identity(app)
    with pytest.raises(PermanentError, match=r"died by its reload"):
        units.changer(app).reload(before, agree)
    units.comes_to(app, lambda seen: running(seen) and process_of(seen)[0] != process_of(before)[0])
    with pytest.raises(Refused, match="no longer the one that was judged"):
        units.changer(app).reload(before, agree)


def test_a_program_that_finds_its_new_configuration_wrong_is_seen_to_die_a_little_later(units: Units) -> None:
    app = units.running("wrong", start="trap 'sleep 0.4; exit 3' HUP; while :; do sleep 0.05; done", more=BY_SIGNAL)
    with pytest.raises(PermanentError, match="died by its reload: it is failed/failed now"):
        units.changer(app).reload(units.identity(app), agree)


def test_a_reload_whose_command_fails_is_a_failure_and_the_unit_goes_on(units: Units) -> None:
    """systemd/systemd#11238: a configuration that `apachectl graceful` finds wrong."""
    app = units.running("fails", start=UNKNOWING, more="ExecReload=/bin/sh -c 'exit 3'")
    before = units.identity(app)
    with pytest.raises(
        PermanentError, match=r"did not reload .*Job for fails\.service failed.*\(exit-code\); it is active/running now"
    ):
        units.changer(app).reload(before, agree)
    assert units.identity(app) == before


def test_a_reload_that_systemd_gives_up_is_a_failure_and_the_unit_goes_on(units: Units) -> None:
    """systemd/systemd#1245."""
    app = units.running("gives-up", start=UNKNOWING, more="ExecReload=/bin/sleep 300\nTimeoutStartSec=1s")
    before = units.identity(app)
    with pytest.raises(PermanentError, match=r"\(timeout\); it is active/running now"):
        units.changer(app).reload(before, agree)
    assert units.identity(app) == before


def test_a_reload_that_has_no_end_is_unknown_and_goes_on(units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd/systemd#37515: `systemctl reload` never returns."""
    go = units.systemd.folder / "reload-go"
    app = units.running(
        "hangs", start=UNKNOWING, more=f"ExecReload=/bin/sh -c 'until [ -e {go} ]; do sleep 0.05; done'"
    )
    before = units.identity(app)

    def once_it_reloads(*_: str) -> None:
        units.comes_to(app, lambda seen: seen.state == "reloading/reload")
        later(monkeypatch, local_command)

    monkeypatch.setattr(unit_change, "kill_point", once_it_reloads)
    with pytest.raises(OutcomeUnknown, match="was given the reload .* has not ended it after 1m"):
        units.changer(app).reload(before, agree)
    monkeypatch.undo()
    looked: list[int] = []
    with pytest.raises(Refused, match="somebody else is at work .* systemd has job"):
        units.changer(app).reload(units.identity(app), lambda: looked.append(1))
    assert not looked
    go.touch()
    assert units.comes_to(app, lambda seen: seen.state == "active/running") == before


def test_a_unit_that_says_for_ever_that_it_reloads_is_not_waited_for(
    units: Units, require: Callable[[str], str]
) -> None:
    """acassen/keepalived#2318: RELOADING=1, and never READY=1; a reload would wait for the end of that one."""
    require("systemd-notify")
    stuck = "systemd-notify --ready; systemd-notify RELOADING=1; exec sleep infinity"
    app, looked = units.running("stuck", start=stuck, more=f"Type=notify\nNotifyAccess=all\n{BY_SIGNAL}"), []
    seen = units.comes_to(app, lambda now: now.state.startswith("reloading/"))
    with pytest.raises(PermanentError, match=r"is reloading/reload: only a unit that runs can be reloaded"):
        units.changer(app).reload(seen, lambda: looked.append(1))
    assert not looked


def test_a_program_that_hands_over_to_another_process_goes_on_under_the_same_invocation(
    units: Units, require: Callable[[str], str]
) -> None:
    """gravitational/teleport#1844: a new main process takes over, and says so to systemd."""
    require("systemd-notify")
    hands_over = (
        "trap 'sleep infinity & systemd-notify MAINPID=$!' HUP; systemd-notify --ready; while :; do sleep 0.05; done"
    )
    app = units.running("hands-over", start=hands_over, more=f"Type=notify\nNotifyAccess=all\n{BY_SIGNAL}")
    before, changer = units.identity(app), units.changer(app)
    after = changer.reload(before, agree)
    assert after.instance["invocation"] == before.instance["invocation"]
    assert after.instance["pid"] != before.instance["pid"]
    assert changer.did.endswith(f"process {after.instance['pid']} goes on in place of {before.instance['pid']}")


def test_another_instance_than_the_judged_one_is_not_reloaded(units: Units) -> None:
    app, looked = units.running("judged", start=COUNTS, more=BY_SIGNAL), []
    judged = units.identity(app)
    assert units.systemd.run("systemctl", "restart", app.name).returncode == 0
    with pytest.raises(Refused, match="no longer the one that was judged"):
        units.changer(app).reload(judged, lambda: looked.append(1))
    assert (reloads(units, "judged"), looked) == (0, [])


def test_a_no_at_the_last_look_reloads_nothing(units: Units) -> None:
    app = units.running("looked", start=COUNTS, more=BY_SIGNAL)

    def too_late() -> None:
        raise Refused("the claim is gone")

    with pytest.raises(Refused, match="the claim is gone"):
        units.changer(app).reload(units.identity(app), too_late)
    assert reloads(units, "looked") == 0


def test_a_deadline_that_passed_during_the_last_look_reloads_nothing(
    units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = units.running("deadline", start=COUNTS, more=BY_SIGNAL)
    with pytest.raises(Refused, match="the 1m for reloading .* were over before it was sent"):
        units.changer(app).reload(units.identity(app), lambda: later(monkeypatch, unit_change))
    assert reloads(units, "deadline") == 0


def test_nothing_but_the_start_of_systemctl_follows_the_last_look(
    units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = units.running("order", start=COUNTS, more=BY_SIGNAL)
    before, seen = units.identity(app), []
    started = subprocess.Popen.__init__

    def noted(process: object, arguments: list[str], **how: object) -> None:
        seen.append("reload" if "reload" in arguments else "show" if "show" in arguments else str(arguments))
        started(process, arguments, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(subprocess.Popen, "__init__", noted)
    units.changer(app).reload(before, lambda: seen.append("last look"))
    assert seen[:3] == ["show", "last look", "reload"]
    assert set(seen[3:]) == {"show"}


def test_a_systemctl_that_says_done_and_did_nothing_is_found_out(units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    app = units.running("lied", start=COUNTS, more=BY_SIGNAL)
    monkeypatch.setattr(unit_change.systemctl, "job", lambda *_: ("true",))
    with pytest.raises(PermanentError, match="has noted no change of its state: it was not"):
        units.changer(app).reload(units.identity(app), agree)
    assert reloads(units, "lied") == 0
