"""A machine by SSH offers files and folders as this machine does: each test is one promise of the transports' interface."""

import os
import subprocess
from pathlib import Path

import pytest

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.transport import Transport
from paramedic.transports.local import Local

pytestmark = pytest.mark.real

KEPT = 16_384


def test_the_end_of_a_log_is_its_last_whole_lines(there: Transport, tmp_path: Path) -> None:
    log = tmp_path / "a log'$(x)"
    log.write_text("".join(f"line {n}\n" for n in range(5000)))
    assert there.tail(str(log), max_lines=2) == "line 4998\nline 4999\n"
    assert there.tail(str(log), max_bytes=25) == Local().tail(log, max_bytes=25)  # type: ignore[arg-type]
    log.write_bytes(b"red \x1b[31m \xff\n")
    assert there.tail(str(log)) == "red \\x1b[31m \\xff\n"


def test_holes_in_a_log_are_no_text(there: Transport, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"before\n" + b"last words\n" + b"\0" * 900_000)
    assert there.tail(str(log)) == "before\nlast words\n"
    log.write_bytes(b"\0" * 900_000 + b"after a truncation\n")
    assert there.tail(str(log)) == "after a truncation\n"


def test_a_file_that_is_not_there_may_come_and_others_will_not(there: Transport, tmp_path: Path) -> None:
    with pytest.raises(TemporaryError, match="just now"):
        there.tail(str(tmp_path / "none"))
    with pytest.raises(PermanentError, match="not a regular file"):
        there.tail(str(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PermanentError, match="not a regular file"):
        there.read(str(tmp_path / "pipe"))


def test_a_small_file_is_read_whole_and_a_large_one_refused(there: Transport, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(range(256)) * 4)
    assert there.read(str(tmp_path / "file")) == bytes(range(256)) * 4
    with pytest.raises(PermanentError, match="more than 1,000 B"):
        there.read(str(tmp_path / "file"), 1000)


def test_a_file_whose_size_nobody_knows_is_read_as_it_is(there: Transport) -> None:
    boot = Path("/proc/sys/kernel/random/boot_id")
    assert boot.stat().st_size == 0
    assert there.read(str(boot)) == boot.read_bytes()


def test_a_replaced_file_has_the_new_content_and_its_mode(there: Transport, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    file.chmod(0o640)
    there.replace(str(file), bytes(range(256)))
    assert file.read_bytes() == bytes(range(256))
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    with pytest.raises(PermanentError, match="cannot be replaced"):
        there.replace(str(tmp_path / "none"), b"")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "releases" / "v1").mkdir(parents=True)
    (tmp_path / "releases" / "v 2'").mkdir()
    (tmp_path / "releases" / "file").write_text("x")
    (tmp_path / "current").symlink_to("releases/v1")
    (tmp_path / "log").write_bytes(b"one\n\xff\0two")
    return tmp_path


def test_a_folder_is_read_by_names(there: Transport, folder: Path) -> None:
    with there.folder(str(folder)) as held:
        assert held.read("log", 100) == b"one\n\xff\0two"
        assert held.read("log", 3) is None
        assert held.read("releases", 100) is None
        with pytest.raises(OSError):
            held.read("current", 100)
        with pytest.raises(FileNotFoundError):
            held.read("none", 100)
        assert held.link("current") == "releases/v1"
        with pytest.raises(OSError):
            held.link("log")
        with pytest.raises(FileNotFoundError):
            held.link("none")
        assert [held.kind(name) for name in ("releases", "current", "log", "none", "log/x")] == [
            *("folder", "symlink", "file"),
            *(None, None),
        ]
        assert sorted(held.names("releases")) == ["file", "v 2'", "v1"]
        with pytest.raises(OSError):
            held.names("current")
        assert abs(held.changed_at("log").timestamp() - (folder / "log").stat().st_mtime) < 0.001
        assert held.entry("current", "releases") == "v1"


def test_where_a_symlink_leads_is_decided_by_the_inode(there: Transport, folder: Path) -> None:
    def entry(leads: str) -> str | None:
        (folder / "current").unlink()
        (folder / "current").symlink_to(leads)
        with there.folder(str(folder)) as held:
            return held.entry("current", "releases")

    assert entry(f"{folder}/releases/../releases/v1/.") == "v1"
    assert entry("releases/none") is None
    assert entry("releases/file") is None
    assert entry("releases") is None
    assert entry("/tmp") is None
    (folder / "other").symlink_to("releases")
    assert entry("other/v1") == "v1"
    with there.folder(str(folder)) as held:
        assert held.entry("current", "other") is None


def test_a_folder_is_changed_by_names(there: Transport, folder: Path) -> None:
    with there.folder(str(folder)) as held:
        held.symlink("releases/v 2'", ".new")
        with pytest.raises(FileExistsError):
            held.symlink("x", ".new")
        held.rename(".new", "current")
        assert held.entry("current", "releases") == "v 2'"
        with pytest.raises(FileNotFoundError):
            held.unlink("none")
        held.symlink("x", "beside")
        held.unlink("beside")
        held.sync()
    assert str((folder / "current").readlink()) == "releases/v 2'"
    assert not (folder / "beside").is_symlink()


def test_an_open_folder_stays_the_one_that_was_opened(there: Transport, folder: Path) -> None:
    path = folder / "releases"
    with there.folder(str(path)) as held:
        path.rename(folder / "moved")
        path.mkdir()
        assert sorted(held.names(".")) == ["file", "v 2'", "v1"]


def test_a_log_is_locked_and_lines_are_added_whole(there: Transport, folder: Path) -> None:
    log = folder / "log"
    with there.folder(str(folder)) as held, held.locked("log") as locked:
        assert subprocess.run(["flock", "-n", str(log), "true"], check=False).returncode == 1
        locked.append(b'{"a": "b\'c"}\n')
        assert log.read_bytes() == b'one\n\xff\0two\n{"a": "b\'c"}\n'
        locked.append(b"next\n")
        locked.take_back()
        locked.sync()
    assert log.read_bytes() == b'one\n\xff\0two\n{"a": "b\'c"}\n'
    assert subprocess.run(["flock", "-n", str(log), "true"], check=False).returncode == 0


def test_rights_are_looked_at_and_who_holds_a_lock_is_named(there: Transport, folder: Path) -> None:
    before = (folder / "log").read_bytes()
    with there.folder(str(folder)) as held:
        assert (held.unreplaceable("current"), held.unwritable("log"), held.holder("log")) == (None, None, None)
        for look in (held.unwritable, held.holder):
            with pytest.raises(FileNotFoundError):
                look("none")
        holds = ["flock", folder / "log", "sh", "-c", "echo; cat"]
        with subprocess.Popen(holds, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            other.stdout.readline()
            assert held.holder("log") == f"process {other.pid} (flock {folder}/log sh -c echo; cat)"
            other.communicate(b"")
    assert (folder / "log").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["current", "log", "releases"]


def test_a_lock_that_another_holds_is_told(there: Transport, folder: Path) -> None:
    holds = ["flock", folder / "log", "sh", "-c", "echo; cat"]
    with subprocess.Popen(holds, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with there.folder(str(folder)) as held, pytest.raises(BlockingIOError), held.locked("log"):
            pass
        other.communicate(b"")
    with there.folder(str(folder)) as held:
        with pytest.raises(FileNotFoundError), held.locked("none"):
            pass
        with pytest.raises(OSError), held.locked("current"):
            pass
    assert not (folder / "none").exists()


def test_a_folder_that_is_not_there_is_told_by_the_kind_of_error(there: Transport, folder: Path) -> None:
    with pytest.raises(FileNotFoundError), there.folder(str(folder / "none")):
        pass
    with pytest.raises(NotADirectoryError), there.folder(str(folder / "log")):
        pass
