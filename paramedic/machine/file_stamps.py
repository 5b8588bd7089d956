"""Detects changed files: path, inode, times and size of each. Stamps are only compared for equality: clocks may be set."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

Stamp = tuple[str, int, int, int, int]
Stamps = frozenset[Stamp]

#: What code and runbooks are written in.
_ENDS = (".py", ".md", ".yaml")


def stamps(folders: Iterable[Path]) -> Stamps:
    """The stamps of every file of code or runbooks in the folders and below. Equal stamps mean unchanged files."""
    found = []
    for folder in folders:
        for inside, below, names in os.walk(folder):
            below[:] = [name for name in below if not name.startswith((".", "__pycache__"))]
            for name in names:
                if name.endswith(_ENDS):
                    path = os.path.join(inside, name)  # noqa: PTH118 - a Path for each file of each look is slow
                    with contextlib.suppress(OSError):  # gone meanwhile
                        found.append(stamp(path))
    return frozenset(found)


def stamp(path: str) -> Stamp:
    """The stamp of one file. Raises OSError."""
    stat = os.stat(path)  # noqa: PTH116 - a Path for each file of each look is slow
    # a tool may set the time of writing, but not that of the last change of the entry
    return path, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size
