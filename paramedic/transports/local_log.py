"""A growing log on this machine: what is new in it, over rotation by rename and by copy and truncation."""

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from paramedic.errors import PermanentError
from paramedic.kinds.log_parts import PACKED, LogPart, LogParts, LogPosition
from paramedic.transports.local_file import opened


def parts(path: str, after: LogPosition | None, limit: int) -> LogParts:
    """What is new. Raises as `Transport.log` does."""
    with opened(path) as file:
        now, found = time.time(), os.fstat(file)
        same = after is not None and after.file == str(found.st_ino)
        if after is not None and same and found.st_size >= after.offset:
            return LogParts(now, (_part(file, after.offset, limit),))
        if after is None:
            begin = max(found.st_size - limit, 0)
            earlier = None if begin else _beside(path, lambda _: True)
            before = _tail(earlier, limit)
        else:
            begin, of = 0, after
            fits = _copy_of(of) if same else (lambda entry: str(entry.st_ino) == of.file)
            before = _rest(_beside(path, fits, by_name=same), of.offset, limit)
        return LogParts(now, (*before, _part(file, begin, limit)))


def _copy_of(after: LogPosition) -> Callable[[os.stat_result], bool]:
    return lambda entry: str(entry.st_ino) != after.file and entry.st_size >= after.offset


def _beside(path: str, fits: Callable[[os.stat_result], bool], *, by_name: bool = True) -> str | None:
    """The newest file beside the log that fits; `by_name`: whose name begins with the log's, and that is not packed."""
    folder, name = os.path.split(path)
    found: list[tuple[float, str]] = []
    try:
        for entry in Path(folder).iterdir():
            named = entry.name.startswith((f"{name}.", f"{name}-")) and not entry.name.endswith(PACKED)
            if (by_name and not named) or entry.name == name:
                continue
            status = entry.lstat()
            if stat.S_ISREG(status.st_mode) and fits(status):
                found.append((status.st_mtime, str(entry)))
    except OSError:
        return None  # the folder cannot be listed: the log itself can be read all the same
    return max(found)[1] if found else None


def _rest(path: str | None, offset: int, limit: int) -> Iterator[LogPart]:
    if path is None:
        return
    try:
        with opened(path) as file:
            yield _part(file, offset, limit)
    except PermanentError:
        return


def _tail(path: str | None, limit: int) -> Iterator[LogPart]:
    if path is None:
        return
    try:
        with opened(path) as file:
            yield _part(file, max(os.fstat(file).st_size - limit, 0), limit)
    except PermanentError:
        return


def _part(file: int, begin: int, limit: int) -> LogPart:
    found = os.fstat(file)
    return LogPart(str(found.st_ino), begin, os.pread(file, limit, begin), found.st_size, found.st_mtime)
