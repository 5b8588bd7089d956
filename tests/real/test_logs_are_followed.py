"""A growing log is followed on this machine and by SSH alike: each whole line once, over every kind of rotation."""

import gzip
import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.log_follower import LogFollower
from paramedic.kinds.log_parts import LogPosition
from paramedic.kinds.transport import Transport
from paramedic.machine.clock import boottime

pytestmark = pytest.mark.real

Read = Callable[[], list[str]]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    made = tmp_path / "logs" / "a log'$(x)"
    made.write_text("one\n")
    return made


@pytest.fixture
def follower() -> LogFollower:
    return LogFollower()


@pytest.fixture
def read(there: Transport, log: Path, follower: LogFollower) -> Read:
    def new() -> list[str]:
        found = follower.read(lambda after: there.log(str(log), boottime() + 30, after=after), 600)
        return list(found.lines)

    return new


def append(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def test_each_whole_line_comes_once_and_one_that_is_being_written_when_it_is_whole(log: Path, read: Read) -> None:
    assert read() == ["one"]
    assert read() == []
    append(log, "two\nthr")
    assert read() == ["two"]
    append(log, "ee\nfour\n")
    assert read() == ["three", "four"]


def test_a_log_that_is_renamed_and_made_anew_loses_no_line(log: Path, read: Read) -> None:
    assert read() == ["one"]
    append(log, "two\nthr")
    log.rename(log.with_name(log.name + ".1"))
    append(log.with_name(log.name + ".1"), "ee\n")
    log.write_text("four\n")
    assert read() == ["two", "three", "four"]
    append(log, "five\n")
    assert read() == ["five"]


def test_a_rotation_by_date_and_one_into_any_name_are_followed_by_the_inode(log: Path, read: Read) -> None:
    for name in ("secure-20261130", "test.20261130-183213.408507.log"):
        append(log, "before\n")
        assert read()[-1] == "before"
        append(log, "last\n")
        log.rename(log.with_name(name))
        log.write_text("first\n")
        assert read() == ["last", "first"]


def test_a_log_that_is_copied_and_truncated_loses_no_line_and_doubles_none(log: Path, read: Read) -> None:
    append(log, "".join(f"line {n}\n" for n in range(1000)))
    assert len(read()) == 1001
    append(log, "unread\n")
    shutil.copy(log, log.with_name(log.name + ".1"))
    os.truncate(log, 0)
    append(log, "new\n")
    assert read() == ["unread", "new"]
    assert read() == []


def test_a_log_that_was_truncated_and_has_grown_past_its_old_end_is_read_from_its_beginning(
    log: Path, read: Read
) -> None:
    read()
    os.truncate(log, 0)
    append(log, "other\n" * 100)
    assert read() == ["other"] * 100
    os.truncate(log, 0)
    append(log, "again\n" * 1000)
    assert read() == ["again"] * 1000


def test_a_packed_log_is_ignored_and_what_is_lost_with_it_is_said(
    log: Path, read: Read, there: Transport, follower: LogFollower
) -> None:
    assert read() == ["one"]
    append(log, "lost\n")
    log.with_name(log.name + ".1.gz").write_bytes(gzip.compress(log.read_bytes()))
    log.rename(log.with_name("elsewhere"))
    (log.with_name("elsewhere")).rename(log.parents[1] / "elsewhere")
    log.write_text("new\n")
    found = follower.read(lambda after: there.log(str(log), boottime() + 30, after=after), 600)
    assert (found.lines, len(found.notes)) == (("new",), 1)
    assert "replaced" in found.notes[0]


def test_who_begins_just_after_a_rotation_reads_the_end_of_the_log_before_it(log: Path, read: Read) -> None:
    log.rename(log.with_name(log.name + ".1"))
    packed = log.with_name(log.name + ".2.gz")
    packed.write_bytes(gzip.compress(b"packed\n"))
    log.write_text("two\n")
    assert read() == ["one", "two"]


def test_a_file_of_the_same_inode_number_that_is_another_one_is_read_whole(log: Path, read: Read) -> None:
    append(log, "two\n" * 50)
    read()
    content = "another\n" * 90
    with log.open("r+") as file:
        file.write(content)
    assert read() == ["another"] * 90


def test_what_is_too_much_for_one_look_comes_with_the_next(log: Path, there: Transport) -> None:
    log.write_text("".join(f"{n:07}\n" for n in range(1000)))
    follower, found = LogFollower(), list[str]()
    for _ in range(20):
        part = follower.read(lambda after: there.log(str(log), boottime() + 30, after=after, limit=800), 600)
        found += part.lines
        append(log, f"{1000 + len(found):07}\n")
    assert found[0] == "0000901", "the first look reads the end"
    assert found[:99] == [f"{n:07}" for n in range(901, 1000)]
    assert not [line for line in found if len(line) != 7]


def test_a_log_that_is_not_there_may_come_and_what_is_no_file_will_not(log: Path, read: Read, there: Transport) -> None:
    read()
    log.rename(log.with_name(log.name + ".1"))
    with pytest.raises(TemporaryError, match="just now"):
        read()
    log.write_text("new\n")
    assert read() == ["new"]
    with pytest.raises(PermanentError, match="not a regular file"):
        there.log(str(log.parent), boottime() + 30)


def test_a_link_is_followed_to_where_it_leads(log: Path, there: Transport) -> None:
    link = log.parent / "link"
    link.symlink_to(log)
    [part] = there.log(str(link), boottime() + 30).parts
    assert part.data == b"one\n"


def test_one_question_says_the_machines_clock_and_when_the_file_was_written(log: Path, there: Transport) -> None:
    os.utime(log, (0, 1_700_000_000))
    found = there.log(str(log), boottime() + 30, after=LogPosition(str(log.stat().st_ino), 2))
    assert abs(found.now - time.time()) < 5
    [part] = found.parts
    assert (part.begin, part.data, part.size, part.written_at) == (2, b"e\n", 4, 1_700_000_000)


def test_bytes_come_as_they_are(log: Path, there: Transport) -> None:
    log.write_bytes(bytes(range(256)) * 2000)
    [part] = there.log(str(log), boottime() + 30).parts
    assert part.data == bytes(range(256)) * 2000


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def at_of(there: Transport, log: Path, line: str, written_at: float) -> float | None:
    """When a log of this last line says that it was written, at the first look."""
    log.write_text(line + "\n")
    os.utime(log, (written_at, written_at))
    found = LogFollower().read(lambda after: there.log(str(log), boottime() + 30, after=after), 600)
    return found.at(line)


def test_a_time_without_year_or_zone_is_understood_by_when_the_file_was_written(there: Transport, log: Path) -> None:
    wrote = moment("2026-11-30T19:12:56+00:00")
    for said in ("Nov 30 19:12:56", "Nov 30 14:12:57", "Dec  1 08:57:50", "2026-11-30 19:12:55,123"):
        found = at_of(there, log, f"{said} web sshd[1]: Invalid user", wrote)
        assert found is not None
        assert abs(found - wrote) < 120, said
    new_year = moment("2026-01-01T00:00:05+00:00")
    found = at_of(there, log, "Dec 31 23:59:59 web sshd[1]: Invalid user", new_year)
    assert found is not None
    assert abs(found - new_year) < 10


def test_a_time_that_fits_nothing_is_none_at_the_first_look_and_the_arrival_later(
    there: Transport, log: Path, read: Read, follower: LogFollower
) -> None:
    wrote = time.time()
    assert at_of(there, log, datetime.fromtimestamp(wrote - 1200, UTC).strftime("%b %d %H:%M:%S web x"), wrote) is None
    assert at_of(there, log, "no time at all", wrote) is None
    log.write_text("one\n")
    read()
    append(log, "no time at all\n")
    found = follower.read(lambda after: there.log(str(log), boottime() + 30, after=after), 600)
    assert found.at(found.lines[0]) == found.now
