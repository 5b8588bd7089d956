"""Files of this machine: the end of a log, a small file whole."""

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from paramedic.errors import PermanentError, TemporaryError
from paramedic.text.decoding import HOLE, decode
from paramedic.text.sanitize import visible

#: The last text is searched this far before the end of a file that ends in NULs, in such blocks; bytes.
_HOLE_SEARCHED = 64 * 1024 * 1024
_BLOCK = 256 * 1024


def tail(path: str | Path, max_bytes: int = 16_384, max_lines: int = 100) -> str:
    """The last whole lines of a regular file, whatever their encoding; control characters and invalid text are escaped.

    Holes of NULs, which a truncation under the writer or a crash leaves, are not counted as text.
    Raises TemporaryError if it is not there (it may be in rotation), PermanentError if it is not a regular file or unreadable.
    """
    with opened(path) as file:
        start = max(_end_of_text(file, _regular(path, os.fstat(file))) - max_bytes, 0)
        data = os.pread(file, max_bytes, start)
        if not data and start:  # truncated since we asked for its size
            start, data = 0, os.pread(file, max_bytes, 0)
        head = os.pread(file, 4, 0)
    return last_lines(data, max_lines, offset=start, head=head)


def last_lines(data: bytes, count: int, *, offset: int, head: bytes) -> str:
    """The last whole lines of the end of a log, which begins at `offset` of it; `head` are its first bytes."""
    lines = visible(decode(data, offset=offset, head=head)).split("\n")
    ends = lines[-1] == ""
    return "\n".join(lines[-(count + ends) :])


def read(path: str | Path, limit: int) -> bytes:
    """A regular file of at most `limit` bytes. Raises as `tail` does, PermanentError where it is larger."""
    with opened(path) as file:
        data = os.pread(file, limit + 1, 0)
    if len(data) > limit:
        raise PermanentError(f"{path} has more than {limit:,} B")
    return data


def replace(path: str | Path, content: bytes) -> None:
    """Replace the regular file's content atomically; its mode stays.

    Raises PermanentError where there is no such file or it cannot be replaced, and nothing changed.
    """
    beside = None
    try:
        found = Path(path).stat()
        _regular(path, found)
        file, beside = tempfile.mkstemp(dir=Path(path).parent, prefix=".paramedic-")
        with os.fdopen(file, "wb") as new:
            new.write(content)
            new.flush()
            os.fchmod(new.fileno(), stat.S_IMODE(found.st_mode))
            os.fsync(new.fileno())
        Path(beside).replace(path)
    except (OSError, ValueError) as error:
        if beside is not None:
            with contextlib.suppress(OSError):
                Path(beside).unlink()
        raise PermanentError(f"{path} cannot be replaced: {error}") from error


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[int]:
    """The regular file, open to read. Raises as `tail` does."""
    try:
        _regular(path, Path(path).stat())  # before it is opened: opening some devices does something
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            _regular(path, os.fstat(file))
            yield file
        finally:
            os.close(file)
    except FileNotFoundError as error:
        raise TemporaryError(f"there is no {path} just now") from error
    except (OSError, ValueError) as error:
        raise PermanentError(f"{path} cannot be read: {error}") from error


def _end_of_text(file: int, size: int) -> int:
    """Where the file's text ends: before the NULs that a crash, or space reserved in advance, left at its end."""
    end = size
    while end > max(size - _HOLE_SEARCHED, 0):
        begin = max(end - _BLOCK, 0)
        text = os.pread(file, end - begin, begin).rstrip(b"\x00")
        end = begin + len(text)
        if text:
            break
    return size if size - end < HOLE else end + -end % HOLE


def _regular(path: str | Path, found: os.stat_result) -> int:
    if not stat.S_ISREG(found.st_mode):
        raise PermanentError(f"{path} is not a regular file")
    return found.st_size
