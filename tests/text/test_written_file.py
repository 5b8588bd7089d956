"""What people save as a runbook or settings file is read, or refused with what is wrong, where, and what to do."""

import os
from pathlib import Path

import pytest

from paramedic.text.written_file import LARGEST, Unreadable, read_written

TEXT = "runbook: slöw\nservice: api\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "slow.md"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
    ],
    ids=["plain", "byte order mark", "CRLF", "CR"],
)
def test_what_editors_of_any_system_save_as_utf_8_is_the_same_text(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert read_written(file) == TEXT


def test_an_empty_file_is_an_empty_text(file: Path) -> None:
    file.touch()
    assert read_written(file) == ""


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_named(file: Path, encoding: str) -> None:
    file.write_bytes(TEXT.encode(encoding))
    with pytest.raises(Unreadable, match="it is UTF-16, or not text; save it as UTF-8"):
        read_written(file)


def test_another_encoding_is_told_at_its_place(file: Path) -> None:
    file.write_bytes("service: api\nrunbook: slöw\n".encode("latin-1"))
    with pytest.raises(Unreadable, match="what stands here is not UTF-8; save it as UTF-8") as refused:
        read_written(file)
    assert (refused.value.line, refused.value.column) == (2, 12)


def test_a_pipe_is_refused_and_not_waited_for(file: Path) -> None:
    os.mkfifo(file)
    with pytest.raises(Unreadable, match="it is not a file; a text file"):
        read_written(file)


def test_a_folder_is_refused(file: Path) -> None:
    file.mkdir()
    with pytest.raises(Unreadable, match="cannot be read: Is a directory"):
        read_written(file)


def test_a_file_is_bounded(file: Path) -> None:
    file.write_bytes(b"x" * LARGEST)
    assert len(read_written(file)) == LARGEST
    file.write_bytes(b"x" * (LARGEST + 1))
    with pytest.raises(Unreadable, match="it is too large; at most 1 MiB"):
        read_written(file)


def test_where_a_symlink_leads_is_said(file: Path) -> None:
    file.symlink_to(file)
    with pytest.raises(Unreadable, match="cannot be read: Too many levels of symbolic links: it is a symlink to /"):
        read_written(file)
    file.unlink()
    file.symlink_to("gone.md")
    with pytest.raises(Unreadable, match=r"cannot be read: No such file or directory: it is a symlink to gone\.md"):
        read_written(file)
