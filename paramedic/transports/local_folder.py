"""One folder of this machine, held open: every name in it is looked up from there."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

from paramedic.transports import local_rights


def bare(path: str) -> str:
    """The path without what may follow it: `/` and `/.` change nothing but that its last symlink is followed."""
    while len(path) > 1 and path.endswith(("/", "/.")):
        path = path[: -2 if path.endswith("/.") else -1] or "/"
    return path


class LocalFolder:
    """An open folder. What cannot be done raises OSError. `path` is what it is called in words."""

    def __init__(self, file: int, path: str) -> None:
        self._file = file
        self._path = path

    def read(self, name: str, limit: int) -> bytes | None:
        """A file's bytes; None where it is not a regular file of at most `limit` bytes."""
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._file)
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
                return None
            return os.pread(file, limit, 0)
        finally:
            os.close(file)

    def link(self, name: str) -> str:
        """Where a symlink leads."""
        return os.readlink(name, dir_fd=self._file)

    def entry(self, link: str, subfolder: str) -> str | None:
        """The name of the folder in `subfolder` that the symlink leads to; None where it leads to none there."""
        leads = bare(os.readlink(link, dir_fd=self._file))
        name = leads.rpartition("/")[2]
        try:
            there = os.lstat(leads, dir_fd=self._file)
            with _held(subfolder, self._file) as inside:
                here = os.lstat(name, dir_fd=inside)
        except OSError:  # nothing, or the subfolder is a symlink
            return None
        return name if stat.S_ISDIR(there.st_mode) and os.path.samestat(there, here) else None

    def kind(self, name: str) -> Literal["folder", "symlink", "file"] | None:
        """The kind of the entry; None where there is none."""
        try:
            mode = os.lstat(name, dir_fd=self._file).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISDIR(mode):
            return "folder"
        return "symlink" if stat.S_ISLNK(mode) else "file"

    def changed_at(self, name: str) -> datetime:
        """When it was last written."""
        return datetime.fromtimestamp(os.lstat(name, dir_fd=self._file).st_mtime, UTC)

    def names(self, name: str) -> list[str]:
        """The names in a subfolder."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        inside = os.open(name, flags, dir_fd=self._file)
        try:
            with os.scandir(inside) as entries:
                return [entry.name for entry in entries]
        finally:
            os.close(inside)

    @contextmanager
    def locked(self, name: str) -> Iterator["LocalLockedFile"]:
        """A file, open to append and locked; BlockingIOError where another process holds the lock."""
        flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(name, flags, dir_fd=self._file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield LocalLockedFile(file)
        finally:
            os.close(file)

    def unreplaceable(self, name: str) -> str | None:
        """What keeps this user from renaming an entry to `name`."""
        return local_rights.unreplaceable(self._file, self._path, name)

    def unwritable(self, name: str) -> str | None:
        """What keeps this user from writing to a file."""
        return local_rights.unwritable(self._file, self._path, name)

    def holder(self, name: str) -> str | None:
        """Which process holds the lock of a file."""
        return local_rights.holder(self._file, name)

    def symlink(self, leads_to: str, name: str) -> None:
        """Make a symlink."""
        os.symlink(leads_to, name, dir_fd=self._file)

    def rename(self, name: str, to: str) -> None:
        """Rename it to `to`, atomically."""
        os.rename(name, to, src_dir_fd=self._file, dst_dir_fd=self._file)

    def unlink(self, name: str) -> None:
        """Remove it."""
        os.unlink(name, dir_fd=self._file)

    def sync(self) -> None:
        """Wait until the disk has what was changed in it."""
        os.fsync(self._file)


@contextmanager
def _held(path: str, folder: int) -> Iterator[int]:
    """A folder to look names up in, which this user need not be able to list; no symlink. Raises OSError."""
    file = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield file
    finally:
        os.close(file)


class LocalLockedFile:
    """A locked file. What cannot be done raises OSError."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._before = 0

    def append(self, line: bytes) -> None:
        """Append a whole line, or nothing."""
        size = self._before = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            line = b"\n" + line
        if os.write(self._file, line) != len(line):
            self.take_back()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def take_back(self) -> None:
        """Cut off what the last `append` has added."""
        os.ftruncate(self._file, self._before)

    def sync(self) -> None:
        """Wait until the disk has it."""
        os.fsync(self._file)


@contextmanager
def opened(path: str) -> Iterator[LocalFolder]:
    """The folder, held. Raises OSError."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield LocalFolder(folder, path)
    finally:
        os.close(folder)
