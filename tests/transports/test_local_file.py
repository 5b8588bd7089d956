"""The end of a log, whatever lies there."""

import os
from pathlib import Path

import pytest

from paramedic.errors import PermanentError, TemporaryError
from paramedic.transports import local_file
from paramedic.transports.local_file import tail


def test_the_last_lines_are_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(1000)))
    assert tail(log, max_lines=2) == "line 998\nline 999\n"
    assert tail(log).count("\n") == 100
    log.write_text("one\ntwo, not ended")
    assert tail(log) == "one\ntwo, not ended"
    assert tail(log, max_lines=1) == "two, not ended"


def test_a_small_budget_begins_at_a_whole_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("äöü first\nsecond\nthird\n")
    assert tail(log, max_bytes=16) == "second\nthird\n"
    log.write_bytes(b"x" * 100)
    assert tail(log, max_bytes=10) == "x" * 10


def test_an_empty_log_is_empty(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    assert tail(tmp_path / "log") == ""


def test_what_moves_a_terminal_or_is_no_text_is_shown_as_what_it_is(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"\x1b]0;owned\x07 \xff\xfe \xc2\x9b31m \xe2\x80\xae \x00 tab\there\r\n" + "üöä\rover\n".encode())
    assert tail(log) == "\\x1b]0;owned\\x07 \\xff\\xfe \\x9b31m \\u202e \\x00 tab\there\nüöä\\rover\n"


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "link", "/dev/tty"):
        with pytest.raises(PermanentError, match="not a regular file"):
            tail(path)


def test_a_link_to_a_regular_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "app.log.1").write_text("here\n")
    (tmp_path / "app.log").symlink_to("app.log.1")
    assert tail(tmp_path / "app.log") == "here\n"


def test_a_log_in_rotation_may_be_back_in_a_moment(tmp_path: Path) -> None:
    with pytest.raises(TemporaryError, match="just now"):
        tail(tmp_path / "rotated-away")


def test_a_log_truncated_while_we_look_is_read_from_its_new_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    log.write_text("new\n")
    monkeypatch.setattr(local_file.os, "fstat", lambda _: os.stat_result([0o100644, 0, 0, 0, 0, 0, 90_000, 0, 0, 0]))
    assert tail(log) == "new\n"


def test_a_path_that_cannot_be_one_is_useless() -> None:
    for path in ("a\0b", "x" * 5000):
        with pytest.raises(PermanentError, match="cannot be read"):
            tail(path)


def test_a_small_file_is_read_whole_and_a_large_one_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "state"
    file.write_bytes(b"x" * 10)
    assert local_file.read(file, 10) == b"x" * 10
    with pytest.raises(PermanentError, match="more than 9 B"):
        local_file.read(file, 9)
    with pytest.raises(TemporaryError, match="just now"):
        local_file.read(tmp_path / "gone", 9)
    with pytest.raises(PermanentError, match="not a regular file"):
        local_file.read(tmp_path, 9)


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "state"
    file.write_text("before, and longer")
    file.chmod(0o640)
    local_file.replace(file, b"after")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("after", 0o640)
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_cannot_be_replaced_stays_and_leaves_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "state"
    file.write_text("before")

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(local_file.os, "fsync", full)
    with pytest.raises(PermanentError, match="state cannot be replaced: .*No space left"):
        local_file.replace(file, b"after")
    assert (file.read_text(), list(tmp_path.iterdir())) == ("before", [file])
    with pytest.raises(PermanentError, match="cannot be replaced"):
        local_file.replace(tmp_path / "gone", b"after")


def test_after_a_truncation_under_the_writer_the_newest_lines_are_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("w") as writer:  # without O_APPEND: it goes on where it was
        writer.write("before rotation " * 5000 + "\n")
        writer.flush()
        os.truncate(log, 0)
        writer.write("ERROR pool exhausted\nERROR again\n")
        writer.flush()
    assert tail(log) == "ERROR pool exhausted\nERROR again\n"


def test_space_that_is_reserved_after_the_text_is_no_text(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("first\nthe newest line\n")
    os.truncate(log, 3_000_000)
    assert tail(log) == "first\nthe newest line\n"
    assert tail(log, max_bytes=24) == "first\nthe newest line\n"


@pytest.mark.parametrize("encoding", ["cp1251", "shift_jis", "utf-16"])
def test_long_lines_in_another_encoding_end_with_the_newest(tmp_path: Path, encoding: str) -> None:
    log = tmp_path / "log"
    line = "接続プールが枯渇しました " if encoding == "shift_jis" else "пул соединений исчерпан "
    log.write_bytes("".join(f"{number} {line * 8}\n" for number in range(400)).encode(encoding))
    shown = tail(log)
    assert shown.endswith(f"\n399 {line * 8}\n")
    assert "\\x" not in shown
    assert len(shown) < 20_000
