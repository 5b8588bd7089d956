"""Whether files have changed since they were read: of each its path, which file it is, when it was written, and its size."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

Stamps = frozenset[tuple[str, int, int, int, int]]

#: What code and runbooks are written in.
_ENDS = (".py", ".md", ".yaml")


def stamps(folders: Iterable[Path]) -> Stamps:
    """Of every file of code or runbooks in the folders and below. Equal stamps: nobody has changed anything."""
    found = []
    for folder in folders:
        for inside, below, names in os.walk(folder):
            below[:] = [one for one in below if not one.startswith((".", "__pycache__"))]
            for name in names:
                if name.endswith(_ENDS):
                    path = os.path.join(inside, name)  # noqa: PTH118 - a Path for each file of each look is slow
                    with contextlib.suppress(OSError):  # gone meanwhile
                        said = os.stat(path)  # noqa: PTH116
                        # a tool may set the time of writing, and nobody that of the last change of the entry
                        found.append((path, said.st_ino, said.st_mtime_ns, said.st_ctime_ns, said.st_size))
    return frozenset(found)
