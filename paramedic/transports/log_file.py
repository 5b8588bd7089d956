"""The end of a log file."""

import os
import stat
from pathlib import Path

from paramedic.errors import PermanentError, TemporaryError
from paramedic.text.sanitize import visible


def tail(path: str | Path, max_bytes: int = 16_384, max_lines: int = 100) -> str:
    """The last whole lines of a regular file; what is no text or would move a terminal is escaped, visibly.

    Raises TemporaryError if it is not there (it may be in rotation), PermanentError if it is no regular file or may not be read.
    """
    try:
        _regular(path, Path(path).stat())  # before it is opened: opening some devices does something
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            size = _regular(path, os.fstat(file))
            start = max(size - max_bytes, 0)
            data = os.pread(file, max_bytes, start)
            if not data and start:  # truncated since we asked for its size
                start, data = 0, os.pread(file, max_bytes, 0)
        finally:
            os.close(file)
    except FileNotFoundError as error:
        raise TemporaryError(f"there is no {path} just now") from error
    except (OSError, ValueError) as error:
        raise PermanentError(f"{path} cannot be read: {error}") from error
    if start and b"\n" in data[:-1]:
        data = data.partition(b"\n")[2]  # the first line is cut, perhaps in the middle of a character
    lines = visible(data.decode("utf-8", "backslashreplace")).split("\n")
    ends = lines[-1] == ""
    return "\n".join(lines[-(max_lines + ends) :])


def _regular(path: str | Path, found: os.stat_result) -> int:
    if not stat.S_ISREG(found.st_mode):
        raise PermanentError(f"{path} is no regular file")
    return found.st_size
