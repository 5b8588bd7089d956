"""A restart through a real systemd: one whole restart of what was judged, or none, or the outcome is open."""

import signal
import subprocess
import sys
import textwrap
import time

import pytest
from systemd_units import Units, agree, later

from paramedic.errors import OutcomeUnknown, PermanentError, Refused
from paramedic.integrations.targets import systemd as integration
from paramedic.kinds.process_target import process_identity
from paramedic.processes import systemctl, unit_change
from paramedic.transports import local_command

pytestmark = pytest.mark.real


def test_a_restart_begins_a_new_life_and_says_which(units: Units) -> None:
    app = units.running("app")
    before = units.identity(app)
    assert integration.running(before)
    assert before.state == "active/running"
    assert before.instance["started_at"] is not None
    assert abs(before.instance["started_at"] - time.time()) < 60
    after = units.changer(app).restart(before, agree)
    assert after == units.identity(app)
    assert integration.running(after)
    assert after.instance.get("invocation") not in (None, before.instance.get("invocation"))
    assert after.instance["pid"] not in (None, before.instance["pid"])
    assert units.starts("app") == 2


def test_another_life_than_the_judged_one_is_not_touched(units: Units) -> None:
    app = units.running("judged")
    now, looked = units.identity(app), []
    assert now.instance["pid"]
    assert now.instance["started_at"]
    for judged in (
        process_identity(now.instance["pid"], now.instance["started_at"], now.state, invocation="0" * 32),
        process_identity(
            now.instance["pid"] + 1, now.instance["started_at"], now.state, invocation=now.instance.get("invocation")
        ),
        process_identity(None, None, "inactive/dead"),
    ):
        with pytest.raises(Refused, match="no longer the one that was judged"):
            units.changer(app).restart(judged, lambda: looked.append(1))
    assert units.identity(app) == now
    assert units.starts("judged") == 1
    assert not looked


def test_who_restarted_it_in_between_is_seen_by_the_invocation(units: Units) -> None:
    app = units.running("between")
    judged = units.identity(app)
    assert units.systemd.run("systemctl", "restart", app.name).returncode == 0
    with pytest.raises(Refused, match="no longer the one that was judged"):
        units.changer(app).restart(judged, agree)
    assert units.starts("between") == 2


def test_a_no_at_the_last_look_starts_nothing(units: Units) -> None:
    app = units.running("looked")
    before = units.identity(app)

    def too_late() -> None:
        raise Refused("the claim is gone")

    with pytest.raises(Refused, match="the claim is gone"):
        units.changer(app).restart(before, too_late)
    assert units.identity(app) == before
    assert units.starts("looked") == 1


def test_a_deadline_that_passed_during_the_last_look_starts_nothing(
    units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = units.running("deadline")
    before = units.identity(app)
    with pytest.raises(Refused, match="the 1m for restarting .* were over before it was sent"):
        units.changer(app).restart(before, lambda: later(monkeypatch, unit_change))
    assert units.identity(app) == before
    assert units.starts("deadline") == 1


def test_nothing_but_the_start_of_systemctl_follows_the_last_look(
    units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = units.running("order")
    before, seen = units.identity(app), []
    started = subprocess.Popen.__init__

    def noted(process: object, arguments: list[str], **how: object) -> None:
        seen.append("restart" if "restart" in arguments else "show" if "show" in arguments else str(arguments))
        started(process, arguments, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(subprocess.Popen, "__init__", noted)
    units.changer(app).restart(before, lambda: seen.append("last look"))
    assert seen == ["show", "last look", "restart", "show"]


def test_a_stopped_unit_is_started(units: Units) -> None:
    app = units.make("stopped")
    before = units.identity(app)
    assert (before.instance["pid"], before.state) == (None, "inactive/dead")
    assert integration.running(units.changer(app).restart(before, agree))
    assert units.starts("stopped") == 1


def test_a_failed_unit_is_started(units: Units) -> None:
    app = units.make("failed", start="[ -e $0.mended ] || exit 1; exec sleep infinity")
    units.systemd.run("systemctl", "start", app.name)
    before = units.comes_to(app, lambda seen: seen.state == "failed/failed")
    (units.systemd.folder / "failed.sh.mended").touch()
    assert integration.running(units.changer(app).restart(before, agree))
    assert units.starts("failed") == 2


def test_a_unit_that_does_not_come_up_is_useless_to_restart_and_says_its_state(units: Units) -> None:
    app = units.make("broken", start="exit 3", more="Type=notify")
    with pytest.raises(PermanentError, match=r"did not restart .*Job for broken\.service failed.* failed/failed now"):
        units.changer(app).restart(units.identity(app), agree)
    assert units.starts("broken") == 1


def test_a_unit_that_falls_right_after_its_start_is_told_by_its_state(units: Units) -> None:
    app = units.make("falls", start="until [ -e $0.go ]; do sleep 0.1; done; exit 3")
    before = units.identity(app)
    after = units.changer(app).restart(before, agree)  # systemd takes the start of a simple service for a success
    (units.systemd.folder / "falls.sh.go").touch()
    assert units.comes_to(app, lambda seen: not integration.running(seen)) == process_identity(
        None, None, "failed/failed", invocation=after.instance.get("invocation")
    )


def test_a_unit_that_systemd_tries_again_and_again_did_not_come_up(units: Units) -> None:
    app = units.make("again", start="exit 3", more="Type=forking\nRestart=always\nRestartSec=1h")
    with pytest.raises(PermanentError, match=r"it is activating/auto-restart now"):
        units.changer(app).restart(units.identity(app), agree)
    assert units.starts("again") == 1


def test_a_unit_whose_condition_does_not_hold_did_not_come_up(units: Units) -> None:
    app = units.make("condition", top="ConditionPathExists=/no/such/path")
    with pytest.raises(PermanentError, match="did not come up: it is inactive/dead now"):
        units.changer(app).restart(units.identity(app), agree)
    assert units.starts("condition") == 0


def test_a_running_unit_whose_condition_holds_no_more_was_stopped_and_did_not_come_up(units: Units) -> None:
    holds = units.systemd.folder / "holds"
    holds.touch()
    app = units.running("stops", start="exec sleep infinity", top=f"ConditionPathExists={holds}")
    holds.unlink()
    with pytest.raises(PermanentError, match="did not come up: it is inactive/dead now"):
        units.changer(app).restart(units.identity(app), agree)
    assert units.starts("stops") == 1


def test_a_unit_that_somebody_is_stopping_is_left_to_them(units: Units) -> None:
    app = units.running(
        "slow", start="trap '' TERM; while :; do sleep 0.1; done", more="TimeoutStopSec=infinity\nKillMode=process"
    )
    units.systemd.run("systemctl", "stop", "--no-block", app.name)
    stopping = units.comes_to(app, lambda seen: seen.state.startswith("deactivating/"))
    with pytest.raises(Refused, match="somebody else is at work"):
        units.changer(app).restart(stopping, agree)
    assert units.starts("slow") == 1


def test_a_stop_that_comes_during_the_last_look_is_not_replaced(units: Units) -> None:
    app = units.running(
        "raced", start="trap '' TERM; while :; do sleep 0.1; done", more="TimeoutStopSec=infinity\nKillMode=process"
    )

    def somebody_stops_it() -> None:
        units.systemd.run("systemctl", "stop", "--no-block", app.name)

    with pytest.raises(PermanentError, match="is destructive"):
        units.changer(app).restart(units.identity(app), somebody_stops_it)
    assert units.starts("raced") == 1


def test_a_job_that_hangs_is_unknown_and_goes_on(units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    go = units.systemd.folder / "go"
    app = units.running(
        "hung", start="exec sleep infinity", more=f"ExecStop=/bin/sh -c 'until [ -e {go} ]; do sleep 0.1; done'"
    )
    before = units.identity(app)

    def once_it_stops(*_: str) -> None:
        units.comes_to(app, lambda seen: seen.state.startswith("deactivating/"))
        later(monkeypatch, local_command)

    monkeypatch.setattr(unit_change, "kill_point", once_it_stops)
    with pytest.raises(OutcomeUnknown, match="has not ended it after 1m"):
        units.changer(app).restart(before, agree)
    monkeypatch.undo()
    assert units.starts("hung") == 1
    go.touch()
    after = units.comes_to(
        app,
        lambda seen: integration.running(seen) and seen.instance.get("invocation") != before.instance.get("invocation"),
    )
    assert after.instance["pid"] != before.instance["pid"]
    assert units.starts("hung") == 2


def test_a_systemctl_that_dies_leaves_the_outcome_open(units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    app = units.running("cut")
    before = units.identity(app)
    monkeypatch.setattr(systemctl, "job", lambda *_: ("sh", "-c", "echo connection timed out >&2; exit 1"))
    with pytest.raises(OutcomeUnknown, match="its outcome is open: connection timed out"):
        units.changer(app).restart(before, agree)
    monkeypatch.setattr(systemctl, "job", lambda *_: ("sh", "-c", "kill -9 $$"))
    with pytest.raises(OutcomeUnknown, match="its outcome is open"):
        units.changer(app).restart(before, agree)
    assert units.starts("cut") == 1


def test_a_systemctl_that_says_done_and_did_nothing_is_found_out(units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    app = units.running("lied")
    monkeypatch.setattr(systemctl, "job", lambda *_: ("true",))
    with pytest.raises(PermanentError, match="did not come up"):
        units.changer(app).restart(units.identity(app), agree)


@pytest.mark.parametrize("group", [False, True])
def test_a_client_that_dies_right_after_sending_leaves_one_whole_restart(units: Units, group: bool) -> None:
    name = f"client-{group}".lower()
    app = units.running(name, start="exec sleep infinity", more="ExecStop=/bin/sleep 0.5")
    before = units.identity(app)
    dying = textwrap.dedent(f"""
        import os, signal, time
        from datetime import timedelta
        from paramedic.integrations.targets import systemd
        from paramedic.processes import unit_change
        from paramedic.remediation.target import Target
        from paramedic.transports.local import Local
        def die(*_):
            reader = systemd.Reader(target, Local({units.via!r}), timedelta(seconds=60))
            while reader.identity().state == "active/running":
                time.sleep(0.01)
            os.kill(0 if {group} else os.getpid(), signal.SIGKILL)  # 0 is the whole process group
        unit_change.kill_point = die
        target = Target("elsewhere/{app.name}", "tracking", "elsewhere", "systemd", "{app.name}", "")
        reader = systemd.Reader(target, Local({units.via!r}), timedelta(seconds=60))
        systemd.Changer(target, Local({units.via!r}), timedelta(seconds=60)).restart(reader.identity(), lambda: None)
    """)
    client = subprocess.run([sys.executable, "-c", dying], start_new_session=True, check=False)
    assert client.returncode == -signal.SIGKILL
    units.comes_to(
        app,
        lambda seen: integration.running(seen) and seen.instance.get("invocation") != before.instance.get("invocation"),
    )
    assert units.starts(name) == 2
