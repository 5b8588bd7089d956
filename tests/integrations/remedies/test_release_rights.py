"""What keeps a roll-back from being carried out is said beforehand, with what to grant, and nothing is tried."""

import errno
import fcntl
import os
import pwd
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deployed_releases import Deployed
from required import missing

from paramedic.doors import reading
from paramedic.errors import PermanentError
from paramedic.transports import local_rights

NOBODY = 65_534


@pytest.fixture
def theirs() -> Iterator[Deployed]:
    """A folder of releases of this user's, that others may look at."""
    outside = Path(tempfile.mkdtemp(prefix="releases-"))
    outside.chmod(0o755)
    try:
        deployed = Deployed(outside / "app")
        deployed.deploy("v1", healthy=True)
        deployed.deploy("v2", reversible=True)
        yield deployed
    finally:
        shutil.rmtree(outside)


@contextmanager
def as_nobody() -> Iterator[str]:
    """This thread works as another user; yields that user's name."""
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield pwd.getpwuid(NOBODY).pw_name
    finally:
        os.seteuid(0)
        os.setegid(0)


def obstacles(deployed: Deployed) -> list[str]:
    return reading.releases(deployed.target).obstacles()


def test_a_folder_that_this_user_may_write_in_is_well_and_stays_as_it_is(theirs: Deployed) -> None:
    before = theirs.everything(), theirs.folder.stat().st_mtime_ns, theirs.log.stat().st_mtime_ns
    assert obstacles(theirs) == []
    assert (theirs.everything(), theirs.folder.stat().st_mtime_ns, theirs.log.stat().st_mtime_ns) == before


@pytest.mark.usefixtures("as_root")
def test_a_user_who_may_not_write_is_told_both_grants(theirs: Deployed) -> None:
    folder = theirs.folder
    with as_nobody() as name:
        assert obstacles(theirs) == [
            f"the user {name} may not write in {folder}: `setfacl -m u:{name}:rwx {folder}`",
            f"the user {name} may not read and write {folder}/releases.log: `setfacl -m u:{name}:rw {folder}/releases.log`",
        ]
        with pytest.raises(PermanentError):
            theirs.roll_back("v2")
    folder.chmod(0o777)
    theirs.log.chmod(0o666)
    with as_nobody():
        assert obstacles(theirs) == []
        assert theirs.roll_back("v2") == "v1", "what is called well can be carried out"


def granted(command: str) -> None:
    """What `setfacl -m u:NAME:RIGHTS PATH` does to a path without other entries (acl(5)), where it is not installed."""
    _, _, entry, path = command.split()
    _, name, rights = entry.split(":")
    mode = Path(path).stat().st_mode
    allowed = sum(bit for letter, bit in (("r", 4), ("w", 2), ("x", 1)) if letter in rights)
    nobody_named, user, group = 0xFFFFFFFF, pwd.getpwnam(name).pw_uid, mode >> 3 & 7
    entries = [
        (0x01, mode >> 6 & 7, nobody_named),
        (0x02, allowed, user),
        (0x04, group, nobody_named),
        (0x10, allowed | group, nobody_named),  # the mask
        (0x20, mode & 7, nobody_named),
    ]
    value = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *each) for each in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", value)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            missing("the file system of the temporary folder has no access lists")
        raise


@pytest.mark.usefixtures("as_root")
def test_the_grants_that_are_named_are_enough_and_each_is_needed(theirs: Deployed) -> None:
    with as_nobody():
        folder, log = (why.split("`")[1] for why in obstacles(theirs))
    granted(folder)
    with as_nobody():
        (left,) = obstacles(theirs)
        assert log in left
    granted(log)
    with as_nobody():
        assert obstacles(theirs) == []
        assert theirs.roll_back("v2") == "v1"


@pytest.mark.usefixtures("as_root")
def test_in_a_sticky_folder_only_the_owner_replaces_current(theirs: Deployed) -> None:
    theirs.folder.chmod(0o1777)
    theirs.log.chmod(0o666)
    with as_nobody() as name:
        (why,) = obstacles(theirs)
        assert why.startswith(
            f"{theirs.folder} is sticky, so the user {name} may not replace current, which belongs to "
        )
        assert f"`chown -h {name} {theirs.folder}/current`" in why
        with pytest.raises(PermanentError):
            theirs.roll_back("v2")
    os.chown(theirs.folder / "current", NOBODY, NOBODY, follow_symlinks=False)
    with as_nobody():
        assert obstacles(theirs) == []
        assert theirs.roll_back("v2") == "v1"


def test_a_folder_that_is_read_only_to_this_process_is_named(theirs: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    found = os.statvfs(theirs.folder)

    class ReadOnly:
        f_flag = found.f_flag | os.ST_RDONLY

    monkeypatch.setattr(os, "fstatvfs", lambda _: ReadOnly())
    (why,) = set(obstacles(theirs))
    assert why.startswith(f"{theirs.folder} is read-only to this process: remount it, or name it in `ReadWritePaths=`")


def test_who_holds_the_lock_is_named(theirs: Deployed, require: Callable[[str], str]) -> None:
    lock = [require("flock"), str(theirs.log), "sh", "-c", "echo held; read line"]
    with subprocess.Popen(lock, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as deployment:
        assert deployment.stdout is not None
        assert deployment.stdout.readline() == "held\n"
        (why,) = obstacles(theirs)
        assert f"process {deployment.pid} (" in why
        assert f"flock {theirs.log} sh -c" in why
        assert f"holds the lock of {theirs.log}, and nothing is rolled back until it lets go" in why
        theirs.refuses("v2", "somebody holds the lock")
        deployment.communicate("\n")
    assert obstacles(theirs) == []


def test_a_holder_that_this_machine_does_not_show_is_said_to_be_elsewhere(
    theirs: Deployed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = tmp_path / "locks"
    table.write_text(
        "1: FLOCK  ADVISORY  WRITE 1 00:01:1 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 1 00:01:2 0 EOF\n2: odd\n"
    )
    monkeypatch.setattr(local_rights, "_LOCKS", table)
    with theirs.log.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        (why,) = obstacles(theirs)
        assert why.startswith("a process of another container or machine holds the lock of ")
        monkeypatch.setattr(local_rights, "_LOCKS", tmp_path / "none")
        assert obstacles(theirs) == [why]


def test_the_holder_is_found_where_the_kernel_has_another_device_for_the_file(
    theirs: Deployed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = tmp_path / "locks"
    table.write_text(f"1: FLOCK  ADVISORY  WRITE {os.getpid()} ff:ff:{theirs.log.stat().st_ino} 0 EOF\n")
    monkeypatch.setattr(local_rights, "_LOCKS", table)
    with theirs.log.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert obstacles(theirs)[0].startswith(f"process {os.getpid()} (")
    table.write_text(f"1: FLOCK  ADVISORY  WRITE 1 ff:ff:{theirs.log.stat().st_ino} 0 EOF\n")
    with theirs.log.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "another container" in obstacles(theirs)[0], "another file with the same number is not this one"


def test_a_folder_without_a_log_says_so(theirs: Deployed) -> None:
    theirs.log.unlink()
    assert obstacles(theirs) == [f"{theirs.log} cannot be looked at: No such file or directory"]
