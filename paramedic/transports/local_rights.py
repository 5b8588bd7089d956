"""What this user may do in an open folder of this machine, asked of the kernel and not tried; who holds the lock of a file."""

import contextlib
import os
import shlex
import stat
from pathlib import Path

from paramedic.errors import PermanentError
from paramedic.machine.file_ownership import user
from paramedic.transports import local_process

#: The kernel's table of locks, a line each: `1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF`.
_LOCKS = Path("/proc/locks")


def unreplaceable(folder: int, path: str, name: str) -> str | None:
    """What keeps this user from renaming an entry of the folder to `name`, with what grants it; None where nothing does."""
    held = os.fstat(folder)
    if (fixed := _read_only(folder, path)) is not None:
        return fixed
    if not os.access(".", os.W_OK | os.X_OK, dir_fd=folder, effective_ids=True):
        return not_writable(user(os.geteuid()), path)
    if held.st_mode & stat.S_ISVTX and os.geteuid() not in (0, held.st_uid):
        with contextlib.suppress(FileNotFoundError):
            owner = os.lstat(name, dir_fd=folder).st_uid
            if owner != os.geteuid():
                return sticky(user(os.geteuid()), path, name, user(owner))
    return None


def unwritable(folder: int, path: str, name: str) -> str | None:
    """What keeps this user from writing to the file, with what grants it; None where nothing does. Raises FileNotFoundError."""
    os.lstat(name, dir_fd=folder)
    if (fixed := _read_only(folder, path)) is not None:
        return fixed
    if not os.access(name, os.R_OK | os.W_OK, dir_fd=folder, effective_ids=True):
        return not_usable(user(os.geteuid()), f"{path}/{name}")
    return None


def holder(folder: int, name: str) -> str | None:
    """The process that holds the file's lock, in words; None where this machine shows none.

    One of another container or machine is not shown.
    """
    found = os.stat(name, dir_fd=folder)
    try:
        lines = [line.split() for line in _LOCKS.read_text().splitlines()]
    except OSError:
        return None
    for _, kind, _, _, pid, place, *_ in (line for line in lines if len(line) >= 6 and line[1] != "->"):
        device, _, inode = place.rpartition(":")
        if kind == "FLOCK" and inode == str(found.st_ino) and (_is(device, found) or _has_open(pid, found)):
            return _process(int(pid))
    return None


def _read_only(folder: int, path: str) -> str | None:
    if not os.fstatvfs(folder).f_flag & os.ST_RDONLY:
        return None
    return f"{path} is read-only to this process: remount it, or name it in `ReadWritePaths=` if Paramedic is a unit of systemd"


def not_writable(who: str, folder: str) -> str:
    """That the user may not write in the folder, and what grants it."""
    return f"the user {who} may not write in {folder}: `setfacl -m u:{who}:rwx {shlex.quote(folder)}`"


def not_usable(who: str, file: str) -> str:
    """That the user may not read and write the file, and what grants it."""
    return f"the user {who} may not read and write {file}: `setfacl -m u:{who}:rw {shlex.quote(file)}`"


def sticky(who: str, folder: str, name: str, owner: str) -> str:
    """That the user may not replace the owner's entry of the sticky folder, and what grants it."""
    return (
        f"{folder} is sticky, so the user {who} may not replace {name}, which belongs to {owner}: "
        f"`chmod -t {shlex.quote(folder)}`, or `chown -h {who} {shlex.quote(f'{folder}/{name}')}`"
    )


def _is(device: str, found: os.stat_result) -> bool:
    return device == f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"


def _has_open(pid: str, found: os.stat_result) -> bool:
    """Whether the process has the file open: some file systems have one device for `stat`, and another for the kernel."""
    with contextlib.suppress(OSError):
        for file in Path("/proc", pid, "fd").iterdir():
            with contextlib.suppress(OSError):
                if os.path.samestat(file.stat(), found):
                    return True
    return False


def _process(pid: int) -> str:
    try:
        row = local_process.running_row(pid)
    except PermanentError:
        row = None
    if row is None:
        return f"process {pid}, or what it has started"
    return f"process {pid} ({row.cmdline or row.name})"
