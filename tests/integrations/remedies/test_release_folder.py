"""Release folders: what is current, what lies before it, and one step back that either happens whole or not at all."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from paramedic.doors import changing, reading
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TemporaryError
from paramedic.integrations.remedies import release_folder as integration
from paramedic.machine.clock import boottime
from paramedic.remediation.release import Release
from paramedic.remediation.target import Target

T0 = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


class Deployed:
    """A folder of releases, as docs/targets.md asks for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "releases.log"
        self.target = Target("here/app", "tracking", "here", "systemd", "app.service", "", releases=str(folder))
        self._hour = 0
        (folder / "releases").mkdir(parents=True)
        self.log.touch()

    def deploy(self, name: str, *, healthy: bool | None = None, reversible: bool | None = None) -> None:
        (self.folder / "releases" / name).mkdir(exist_ok=True)
        self.point(f"releases/{name}")
        self._hour += 1
        marked = {} if reversible is None else {"reversible": reversible}
        self.say(what="deployed", release=name, at=self.at(self._hour).isoformat(), **marked)
        if healthy is not None:
            self.say(what="healthy" if healthy else "bad", release=name)

    def at(self, hour: int) -> datetime:
        return T0 + timedelta(hours=hour)

    def point(self, leads: str) -> None:
        (self.folder / "new").symlink_to(leads)
        (self.folder / "new").rename(self.folder / "current")

    def say(self, **line: object) -> None:
        with self.log.open("a") as log:
            log.write(json.dumps(line) + "\n")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def current(self) -> str:
        return str((self.folder / "current").readlink())

    def roll_back(self, expected: str, *, approved: bool = False, last_look: Any = lambda: None) -> str:
        return changing.releases(self.target).roll_back(expected, last_look, approved=approved)

    def refuses(self, expected: str, why: str, *, approved: bool = False) -> Refused:
        """Refused or useless, for this reason, before the last look, and with nothing changed."""
        looked: list[int] = []
        before = self.everything()
        with pytest.raises((Refused, PermanentError), match=why) as no:
            self.roll_back(expected, approved=approved, last_look=lambda: looked.append(1))
        assert self.everything() == before
        assert not looked
        return no.value  # type: ignore[return-value]

    def everything(self) -> dict[str, str]:
        """Every entry, with what it leads to or says."""
        return {
            str(path.relative_to(self.folder)): str(path.readlink())
            if path.is_symlink()
            else path.read_text()
            if path.is_file()
            else "/"
            for path in sorted(self.folder.rglob("*"))
        }


@pytest.fixture
def deployed(tmp_path: Path) -> Deployed:
    return Deployed(tmp_path / "srv")


@pytest.fixture
def two(deployed: Deployed) -> Deployed:
    """A healthy one, and a newer one that can be undone."""
    deployed.deploy("1", healthy=True, reversible=True)
    deployed.deploy("2", reversible=True)
    return deployed


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
    said = two.lines()[-1]
    assert abs(datetime.fromisoformat(said.pop("at")) - datetime.now(UTC)) < timedelta(minutes=5)
    assert said == {"what": "rolled-back", "release": "1", "left": "2", "by": "paramedic"}
    now = reading.releases(two.target).current()
    assert (now.id, now.rolled_back_to, now.healthy) == ("1", True, True)
    assert {one.id: one.healthy for one in reading.releases(two.target).all()} == {"1": True, "2": False}
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


def test_a_rename_that_fails_takes_its_line_back(two: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    before = two.everything()

    def fails(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "rename", fails)
    with pytest.raises(TemporaryError, match="Operation not permitted"):
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


def test_a_line_without_its_end_is_not_joined_with_ours(two: Deployed) -> None:
    two.log.write_text(two.log.read_text().rstrip("\n"))
    assert two.roll_back("2") == "1"
    assert [line["what"] for line in two.lines()] == ["deployed", "healthy", "deployed", "rolled-back"]


@pytest.mark.parametrize(
    ("leads", "why"),
    [
        ("/etc", "leads to '/etc', and not to releases/ID"),
        ("releases/../../outside", "and not to releases/ID"),
        ("releases/1/2", "and not to releases/ID"),
        ("releases/..", "and not to releases/ID"),
        ("releases/.hidden", "and not to releases/ID"),
        ("releases/2\n", "and not to releases/ID"),
        ("../srv/releases/2", "and not to releases/ID"),
        ("releases/gone", "points at gone, which is not there"),
        ("releases/file", "which is not a plain folder: releases/file is a file"),
        ("releases/link", "which is not a plain folder: releases/link is a symlink"),
    ],
)
def test_a_current_that_dangles_or_leads_elsewhere_is_refused(two: Deployed, leads: str, why: str) -> None:
    (two.folder / "releases" / "file").write_text("a file")
    (two.folder / "releases" / "link").symlink_to("/etc")
    two.point(leads)
    two.refuses("2", why, approved=True)
    with pytest.raises(PermanentError, match=why):
        reading.releases(two.target).current()


def test_a_current_by_its_whole_path_is_understood(two: Deployed) -> None:
    two.point(f"{two.folder}/releases/2/")
    assert two.roll_back("2") == "1"


def test_a_release_that_is_a_symlink_is_not_gone_back_to(two: Deployed) -> None:
    (two.folder / "releases" / "1").rmdir()
    (two.folder / "releases" / "1").symlink_to("/etc")
    two.refuses("2", "the release 1 of here/app is not a plain folder: releases/1 is a symlink", approved=True)


def test_releases_that_are_a_symlink_are_refused(two: Deployed) -> None:
    (two.folder / "releases").rename(two.folder / "elsewhere")
    (two.folder / "releases").symlink_to("elsewhere")
    two.refuses("2", "is not a plain folder: releases is a symlink", approved=True)
    with pytest.raises(PermanentError, match="releases cannot be read"):
        reading.releases(two.target).all()


def test_a_folder_without_its_parts_says_which(two: Deployed) -> None:
    (two.folder / "current").unlink()
    two.refuses("2", "has no `current`")
    (two.folder / "current").mkdir()
    two.refuses("2", "current is not a symlink")
    two.log.unlink()
    two.refuses("2", r"has no releases\.log")
    nowhere = Target("here/app", "t", "here", "systemd", "app.service", "", releases=str(two.folder / "nowhere"))
    for door in (reading.releases(nowhere).current, reading.releases(nowhere).before, reading.releases(nowhere).all):
        with pytest.raises(PermanentError, match="the release folder .*nowhere of here/app: No such file"):
            door()
    unlisted = Target("here/app", "t", "here", "systemd", "app.service", "")
    for unknown in (reading.releases, changing.releases):
        with pytest.raises(PermanentError, match="services.yaml names no `releases` for here/app"):
            unknown(unlisted)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("not json", r"releases.log:4: the line: Invalid JSON"),
        ('{"what":"deployed","release":"3"', r"releases.log:4: the line: Invalid JSON"),
        ('{"what":"exploded","release":"3"}', "releases.log:4: what: "),
        ('{"what":"healthy"}', "releases.log:4: release: Field required"),
        ('{"what":"healthy","release":"../../etc"}', "releases.log:4: release: "),
        ('{"what":"healthy","release":"a\\nb"}', "releases.log:4: release: "),
        ('{"what":"healthy","release":"3\\n"}', "releases.log:4: release: "),
        ('{"what":"deployed","release":"3"}', "releases.log:4: the line: .*`at` is missing"),
        ('{"what":"deployed","release":"3","at":"2026-01-31T09:30:00"}', "releases.log:4: at: .*timezone"),
        ('{"what":"deployed","release":"3","at":"now"}', "releases.log:4: at: "),
        (
            '{"what":"deployed","release":"3","at":"2026-01-31T09:30:00Z","reversible":"yes"}',
            "releases.log:4: reversible: ",
        ),
        ('{"what":"rolled-back","release":"1","at":"2026-01-31T09:30:00Z"}', "`left` is missing"),
    ],
)
def test_a_line_that_cannot_be_understood_stops_every_roll_back(two: Deployed, line: str, why: str) -> None:
    with two.log.open("a") as log:
        log.write(line + "\n")
    two.refuses("2", why, approved=True)
    with pytest.raises(PermanentError, match="write .*deployed"):
        reading.releases(two.target).current()


def test_a_log_that_is_none_is_refused(two: Deployed) -> None:
    two.log.unlink()
    two.log.symlink_to("/etc/passwd")
    two.refuses("2", r"releases\.log cannot be written")
    with pytest.raises(PermanentError, match=r"releases\.log cannot be read"):
        reading.releases(two.target).current()
    two.log.unlink()
    two.log.write_bytes(b"\n" * (integration.LOG_LIMIT + 1))
    with pytest.raises(PermanentError, match="not a regular file of at most"):
        two.roll_back("2")
    two.log.unlink()
    os.mkfifo(two.log)
    with pytest.raises(PermanentError, match="not a regular file of at most"):
        reading.releases(two.target).current()


def test_the_two_lines_of_shell_in_the_docs_are_understood(deployed: Deployed) -> None:
    page = (Path(__file__).parents[3] / "docs" / "targets.md").read_text()
    (script,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    for name in ("2026-01-31.1", "2026-01-31.2"):
        (deployed.folder / "releases" / name).mkdir()
        how = {"cwd": deployed.folder, "env": {"PATH": os.environ["PATH"], "ID": name}}
        subprocess.run(["flock", "releases.log", "sh", "-ec", script], check=True, **how)
        now = reading.releases(deployed.target).current()
        assert (now.id, now.reversible) == (name, True)
        assert now.deployed_at is not None
        assert abs(now.deployed_at - datetime.now(UTC)) < timedelta(minutes=5)
        deployed.say(what="healthy", release=name)
    assert sorted(path.name for path in deployed.folder.iterdir()) == ["current", "releases", "releases.log"]
    assert deployed.roll_back("2026-01-31.2") == "2026-01-31.1"


def test_what_deploy_scripts_note_beside_it_is_theirs(two: Deployed) -> None:
    two.say(what="healthy", release="2", by="smoke-test", commit="abc")
    assert reading.releases(two.target).current().healthy is True


def test_a_folder_that_may_not_be_written_says_so_and_is_left() -> None:
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    deployed = Deployed(place / "srv")
    deployed.deploy("1", healthy=True, reversible=True)
    deployed.deploy("2", reversible=True)
    superuser = os.geteuid() == 0  # who may write anywhere: for the moment of the try it is nobody
    deployed.folder.chmod(0o555)
    try:
        if superuser:
            os.seteuid(65534)
            deployed.refuses("2", r"releases\.log cannot be written: Permission denied")
            os.seteuid(0)
            os.chown(deployed.log, 65534, 65534)
            os.seteuid(65534)
        deployed.refuses("2", "may not write in")
    finally:
        if superuser:
            os.seteuid(0)
        deployed.folder.chmod(0o755)
        shutil.rmtree(place)


def test_nothing_is_left_open_or_locked(two: Deployed) -> None:
    before = psutil.Process().num_fds()
    reading.releases(two.target).all()
    two.refuses("1", "was judged")
    assert two.roll_back("2") == "1"
    assert psutil.Process().num_fds() == before
