"""A folder of releases that is not as it should be: refused in words, and left as it is."""

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from deployed_releases import Deployed

from paramedic.doors import changing, reading
from paramedic.errors import PermanentError, Refused
from paramedic.integrations.remedies import release_folder as integration
from paramedic.remediation.target import Target


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
        ("../srv/releases/..", "and not to releases/ID"),
        ("../other/releases/2", "leads to '../other/releases/2', and not to releases/ID"),
        ("also/2", "leads to 'also/2', and not to releases/ID"),
        ("stable", "leads to 'stable', and not to releases/ID"),
        ("stable/.//", "leads to 'stable/.//', and not to releases/ID"),
        ("releases/latest/.", "leads to 'releases/latest/.', and not to releases/ID"),
        ("releases/gone", "points at gone, which is not there"),
        ("releases/file", "which is not a plain folder: releases/file is a file"),
        ("./releases//gone", "points at gone, which is not there"),
        ("releases/latest", "which is not a plain folder: releases/latest is a symlink"),
        ("releases/link", "which is not a plain folder: releases/link is a symlink"),
    ],
)
def test_a_current_that_dangles_or_leads_elsewhere_is_refused(two: Deployed, leads: str, why: str) -> None:
    (two.folder / "releases" / "file").write_text("a file")
    (two.folder / "releases" / "link").symlink_to("/etc")
    (two.folder / "releases" / "latest").symlink_to("2")  # whoever moves it would move nothing after a roll-back
    (two.folder / "stable").symlink_to("releases/2")
    (two.folder / "also").mkdir()
    (two.folder / "also" / "2").symlink_to("../releases/2")
    (two.folder.parent / "other" / "releases" / "2").mkdir(parents=True)
    two.point(leads)
    two.refuses("2", why, approved=True)
    with pytest.raises(PermanentError, match=why):
        reading.releases(two.target).current()


@pytest.mark.parametrize(
    "leads",
    [
        "{folder}/releases/2/",
        "releases/2/",
        "./releases/2",
        "releases//2",
        "//{folder}//releases/./2/.",
        "../srv/releases/2",
        "releases/1/../2",
        "{also}/releases/2",
        "{also}/current-is-not-needed/../releases/2//",
    ],
)
def test_where_current_leads_decides_and_not_how_it_is_written(two: Deployed, leads: str) -> None:
    (two.folder.parent / "also").symlink_to(two.folder)
    (two.folder / "current-is-not-needed").mkdir()
    two.point(leads.format(folder=two.folder, also=two.folder.parent / "also"))
    assert reading.releases(two.target).current().id == "2"
    assert two.roll_back("2") == "1"


@pytest.mark.parametrize("base", ["{also}", "{also}/", "{folder}//", "{folder}/releases/.."])
def test_the_folder_may_be_named_by_another_path_than_current_leads_by(two: Deployed, base: str) -> None:
    also = two.folder.parent / "also"
    also.symlink_to("srv")
    target = replace(two.target, releases=base.format(folder=two.folder, also=also))
    two.point(f"{two.folder}/releases/2")
    assert reading.releases(target).current().id == "2"
    assert changing.releases(target).roll_back("2", lambda: None, approved=False) == "1"


def test_a_current_that_is_written_anew_during_the_last_look_is_the_same(two: Deployed) -> None:
    assert two.roll_back("2", last_look=lambda: two.point(f"{two.folder}/releases/2")) == "1"


def test_another_release_in_another_spelling_is_seen_before_the_rename(two: Deployed) -> None:
    (two.folder / "releases" / "3").mkdir()
    with pytest.raises(Refused, match="somebody else has just made 3 the current release"):
        two.roll_back("2", last_look=lambda: two.point("./releases//3"))
    assert two.current() == "releases/3"


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
