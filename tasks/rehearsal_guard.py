"""Keeps a rehearsal's process from doing anything: no program, no connection, no file outside its own folder."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paramedic.errors import PermanentError

#: Audit events (Python documentation, "Audit events table") by which something outside this process is reached.
_REFUSED = (
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.kill",
    "os.killpg",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "pty.spawn",
    "signal.pthread_kill",
    "socket.bind",
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.sendmsg",
    "socket.sendto",
    "subprocess.Popen",
)

#: Events about a file that they change, whose first argument is its path.
_CHANGES_FILES = (
    "os.chmod",
    "os.chown",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.setxattr",
    "os.symlink",
    "os.truncate",
    "os.utime",
)

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC


class Reached(PermanentError):
    """The playbook reached past its verbs for something that a rehearsal does not touch."""


class Guard:
    """Refuses, while it is closed, what would leave the process. There is one: an audit hook stays for its life."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the only place where files may change."""
        self._folder = folder.resolve()
        self._is_closed = False
        sys.addaudithook(self._judge)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Refuse by raising Reached, in every thread, until the block ends."""
        self._is_closed = True
        try:
            yield
        finally:
            self._is_closed = False

    def _judge(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_closed:
            return
        if event in _REFUSED:
            raise Reached(f"a rehearsal does nothing outside itself, and refused {event}: do it in a verb of tasks/")
        path = arguments[0] if arguments else None
        writes = event in _CHANGES_FILES or (event == "open" and (arguments[2] or 0) & _WRITES)
        if writes and isinstance(path, str | bytes | os.PathLike) and not self._ours(path):
            raise Reached(f"a rehearsal changes no file, and refused {event} of {os.fsdecode(path)}")

    def _ours(self, path: "str | bytes | os.PathLike[str]") -> bool:
        where = Path(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100 - resolving would look at the disk
        return where == Path(os.devnull) or where.is_relative_to(self._folder)
