"""Reads a file that people write (settings, a runbook, services.yaml, oncall.yaml): UTF-8, of bounded size, never waiting."""

import codecs
import io
import os
import stat
from pathlib import Path

from paramedic.errors import PermanentError

#: In bytes: some thousands of targets. Every process reads these files again and again.
LARGEST = 1 << 20

_SAVE = "save it as UTF-8"


class Unreadable(PermanentError):
    """The file cannot be read: line and column, what is wrong, what is allowed there (may be empty)."""

    def __init__(self, what: str, allowed: str = "", *, line: int = 1, column: int = 1) -> None:
        super().__init__(f"{what}; {allowed}" if allowed else what)
        self.what, self.allowed, self.line, self.column = what, allowed, line, column


def read_written(path: Path) -> str:
    """The file's text, without a byte order mark; every line ends with a newline, whichever system it comes from.

    Raises Unreadable.
    """
    content = _content(path)
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content
    if wide:
        raise Unreadable("it is UTF-16, or not text", _SAVE)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        raise Unreadable("what stands here is not UTF-8", _SAVE, line=line, column=column) from error
    return io.StringIO(text, newline=None).read()


def _content(path: Path) -> bytes:
    try:
        # Not to wait: to open a pipe waits for its writer.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unreadable("it is not a file", "a text file")
            content = file.read(LARGEST + 1)
    except OSError as error:
        leads = f": it is a symlink to {path.readlink()}" if path.is_symlink() else ""
        raise Unreadable(f"cannot be read: {error.strerror or error}{leads}") from error
    if len(content) > LARGEST:
        raise Unreadable("it is too large", f"at most {LARGEST >> 20} MiB")
    return content
