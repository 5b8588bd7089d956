"""Release folders: what is current, what lies before it, and one step back that either happens whole or not at all."""

import fcntl
import os
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from deployed_releases import Deployed

from paramedic.doors import reading
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TemporaryError
from paramedic.integrations.remedies import release_folder as integration
from paramedic.machine.clock import boottime
from paramedic.remediation.release import Release


def test_the_releases_are_told_with_what_is_known_of_them(two: Deployed) -> None:
    (two.folder / "releases" / "unpacked").mkdir()
    (two.folder / "releases" / "stray").write_text("a file")
    (two.folder / "releases" / "odd\nname").mkdir()
    door = reading.releases(two.target)
    first, second = Release("1", two.at(1), True, True), Release("2", two.at(2), True, None)
    assert door.current() == second
    assert door.before() == first
    assert door.all() == [second, first, Release("unpacked", None, None, None)]


def test_a_roll_back_goes_to_the_last_healthy_release_and_is_written_down(two: Deployed) -> None:
    seen = []
    assert two.roll_back("2", last_look=lambda: seen.append((two.current(), len(two.lines())))) == "1"
    assert seen == [("releases/2", 3)]
    assert two.current() == "releases/1"
    line = two.lines()[-1]
    assert abs(datetime.fromisoformat(line.pop("at")) - datetime.now(UTC)) < timedelta(minutes=5)
    assert line == {"what": "rolled-back", "release": "1", "left": "2", "by": "paramedic"}
    now = reading.releases(two.target).current()
    assert (now.id, now.rolled_back_to, now.healthy) == ("1", True, True)
    assert {release.id: release.healthy for release in reading.releases(two.target).all()} == {"1": True, "2": False}
    assert sorted(path.name for path in two.folder.iterdir()) == ["current", "releases", "releases.log"]


def test_a_roll_back_is_never_rolled_back_whoever_approves(deployed: Deployed) -> None:
    for name in ("1", "2", "3"):
        deployed.deploy(name, healthy=True, reversible=True)
    assert deployed.roll_back("3") == "2"
    deployed.refuses("2", "a roll-back is never rolled back")
    deployed.refuses("2", "a roll-back is never rolled back", approved=True)
    deployed.deploy("4", reversible=True)
    assert deployed.roll_back("4") == "2"  # 3 was left as bad


def test_an_irreversible_release_is_never_crossed(deployed: Deployed) -> None:
    deployed.deploy("1", healthy=True, reversible=True)
    deployed.deploy("2", reversible=False)
    deployed.deploy("3", healthy=False, reversible=True)
    for approved in (False, True):
        no = deployed.refuses("3", "crosses 2, marked irreversible", approved=approved)
        assert "by hand" in no.by_hand


def test_that_the_release_to_go_back_to_is_irreversible_does_not_matter(deployed: Deployed) -> None:
    deployed.deploy("1", healthy=True, reversible=False)
    deployed.deploy("2", reversible=True)
    assert deployed.roll_back("2") == "1"


def test_an_unmarked_release_is_crossed_only_with_a_persons_word(deployed: Deployed) -> None:
    deployed.deploy("1", healthy=True)
    deployed.deploy("2")
    deployed.deploy("3", reversible=True)
    no = deployed.refuses("3", "crosses 2, and nobody said whether that is reversible")
    assert "approve this roll-back" in no.by_hand
    assert deployed.roll_back("3", approved=True) == "1"


def test_what_was_left_by_a_roll_back_is_not_crossed_again(deployed: Deployed) -> None:
    deployed.deploy("1", healthy=True, reversible=True)
    deployed.deploy("2")
    deployed.roll_back("2", approved=True)
    deployed.deploy("3", reversible=True)
    assert deployed.roll_back("3") == "1"


def test_bad_unmarked_and_missing_releases_are_passed_over(deployed: Deployed) -> None:
    deployed.deploy("1", healthy=True, reversible=True)
    deployed.deploy("2", healthy=False, reversible=True)
    deployed.deploy("3", reversible=True)
    deployed.deploy("4", healthy=True, reversible=True)
    (deployed.folder / "releases" / "4").rmdir()
    deployed.deploy("5", reversible=True)
    assert deployed.roll_back("5") == "1"


def test_a_mark_of_an_earlier_deployment_does_not_hold_for_a_later_one(deployed: Deployed) -> None:
    deployed.deploy("1", healthy=True, reversible=True)
    deployed.deploy("2", healthy=True, reversible=True)
    deployed.deploy("1")
    deployed.deploy("3", reversible=True)
    assert reading.releases(deployed.target).before().id == "2"
    deployed.refuses("3", "crosses 1, and nobody said")


def test_with_nothing_healthy_before_it_there_is_no_way_back(deployed: Deployed) -> None:
    deployed.deploy("1", reversible=True)
    deployed.deploy("2", healthy=True, reversible=True)
    no = deployed.refuses("2", "no release of here/app before 2 is marked healthy")
    assert "healthy" in no.by_hand
    with pytest.raises(Refused, match="marked healthy"):
        reading.releases(deployed.target).before()


def test_an_earlier_deployment_of_the_same_release_is_no_way_back(deployed: Deployed) -> None:
    deployed.deploy("1", healthy=True, reversible=True)
    deployed.deploy("2", healthy=False, reversible=True)
    deployed.deploy("1", healthy=True, reversible=True)
    deployed.refuses("1", "no release of here/app before 1 is marked healthy")


def test_another_release_than_the_judged_one_is_not_touched(two: Deployed) -> None:
    two.refuses("1", "runs release 2 now, and 1 was judged")


def test_a_deployment_during_the_last_look_wins(two: Deployed) -> None:
    with pytest.raises(Refused, match="somebody else has just made 3 the current release"):
        two.roll_back("2", last_look=lambda: two.deploy("3", reversible=True))
    assert two.current() == "releases/3"
    assert "rolled-back" not in two.log.read_text()
    assert not (two.folder / integration._BESIDE).is_symlink()


def test_a_no_at_the_last_look_changes_nothing(two: Deployed) -> None:
    before = two.everything()

    def too_late() -> None:
        raise Refused("the claim is gone")

    with pytest.raises(Refused, match="the claim is gone"):
        two.roll_back("2", last_look=too_late)
    assert two.everything() == before


def test_a_deadline_that_passed_during_the_last_look_changes_nothing(
    two: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = two.everything()
    with pytest.raises(Refused, match="over before it began"):
        two.roll_back("2", last_look=lambda: later(monkeypatch, integration))
    assert two.everything() == before


def later(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    """For this module ten minutes pass at once."""
    now = boottime()
    monkeypatch.setattr(module, "boottime", lambda: now + 600)


def test_a_deployment_that_holds_the_lock_is_left_alone(two: Deployed) -> None:
    with two.log.open("a") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        two.refuses("2", "a deployment is at work")
    assert two.roll_back("2") == "1"


def test_a_current_that_the_log_does_not_know_is_left_to_a_person(two: Deployed) -> None:
    (two.folder / "releases" / "3").mkdir()
    two.point("releases/3")
    two.refuses("3", "3 is the current release of here/app, and releases.log tells last of 2", approved=True)
    now = reading.releases(two.target).current()
    assert (now.id, now.reversible) == ("3", None)
    assert now.deployed_at is not None
    assert abs(now.deployed_at - datetime.now(UTC)) < timedelta(minutes=5)  # when its symlink was made


@pytest.mark.parametrize("point", ["line", "rename"])
def test_a_roll_back_that_is_killed_half_way_is_never_gone_on_with(two: Deployed, point: str) -> None:
    dying = textwrap.dedent(f"""
        import os, signal
        from paramedic.integrations.remedies import release_folder
        from paramedic.transports.local import Local
        from paramedic.remediation.target import Target
        die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
        if {point!r} == "line":
            os.rename = die
        else:
            release_folder.kill_point = die
        target = Target("here/app", "tracking", "here", "systemd", "app.service", "", releases={str(two.folder)!r})
        release_folder.Changer(target, Local()).roll_back("2", lambda: None, approved=True)
    """)
    died = subprocess.run([sys.executable, "-c", dying], check=False)
    assert died.returncode == -signal.SIGKILL
    if point == "line":  # the log says it, and `current` does not
        assert two.current() == "releases/2"
        two.refuses("2", "releases.log tells last of 1", approved=True)
    else:  # it happened whole
        assert two.current() == "releases/1"
        two.refuses("1", "a roll-back is never rolled back", approved=True)


def test_what_a_killed_roll_back_left_is_in_nobodys_way(two: Deployed) -> None:
    (two.folder / integration._BESIDE).symlink_to("releases/elsewhere")
    assert two.roll_back("2") == "1"
    assert sorted(path.name for path in two.folder.iterdir()) == ["current", "releases", "releases.log"]


def test_a_log_that_takes_no_line_changes_nothing(two: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    before, write = two.everything(), os.write
    monkeypatch.setattr(os, "write", lambda file, text: write(file, text[:10]))  # the disk is full in mid-line
    with pytest.raises(TemporaryError, match="No space left"):
        two.roll_back("2")
    monkeypatch.undo()
    assert two.everything() == before


@pytest.mark.parametrize(
    ("says", "means"),
    [
        (PermissionError(1, "Operation not permitted"), PermanentError),
        (OSError(28, "No space left on device"), TemporaryError),
    ],
)
def test_a_rename_that_fails_takes_its_line_back(
    two: Deployed, monkeypatch: pytest.MonkeyPatch, says: OSError, means: type[Exception]
) -> None:
    before = two.everything()

    def fails(*_: object, **__: object) -> None:
        raise says

    monkeypatch.setattr(os, "rename", fails)
    with pytest.raises(means, match=says.strerror):
        two.roll_back("2")
    monkeypatch.undo()
    assert two.everything() == before


def test_a_disk_that_does_not_confirm_is_unknown(two: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OutcomeUnknown, match="the disk does not confirm it"):
        two.roll_back("2")
    assert two.current() == "releases/1"


def test_nothing_but_one_line_and_one_rename_follows_the_last_look(
    two: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def note(call: str, really: Any) -> None:
        def noted(*args: Any, **how: Any) -> Any:
            seen.append(call)
            return really(*args, **how)

        monkeypatch.setattr(os, call, noted)

    for call in ("symlink", "readlink", "write", "rename", "fsync"):
        note(call, getattr(os, call))
    two.roll_back("2", last_look=lambda: seen.append("last look"))
    assert seen == ["readlink", "symlink", "last look", "readlink", "write", "rename", "fsync", "fsync"]
