"""Which files can be trusted: those that only this user or root can change."""

import contextlib
import grp
import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path


def user(uid: int) -> str:
    """The user's name, or the number of one without a name."""
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return f"user {uid}"


def foreign(found: os.stat_result) -> bool:
    """Whether it belongs to a user other than this one and root."""
    return found.st_uid not in (0, os.geteuid())


def writable_by_others(found: os.stat_result) -> bool:
    """Whether its mode lets another user write. A group whose only member is the owner does not count."""
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and not _of_one(found.st_gid, found.st_uid)


def complaint(path: Path) -> str | None:
    """Why code or settings at this path cannot be trusted, with the command that fixes it; None where they can.

    The file or folder, the symlink if it is one, and the folder that holds it all count: whoever may write in that folder
    may put another file in its place, unless the folder is sticky as /tmp is. Raises OSError where there is nothing.
    """
    for candidate in dict.fromkeys((path, Path(os.path.realpath(path)))):
        problem = _complaint(candidate, candidate.lstat())
        if problem is not None:
            return problem
    return None


def complaints(paths: Iterable[Path]) -> list[str]:
    """Each distinct `complaint` about the paths; a missing path is skipped."""
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            found.append(complaint(path))
    return list(dict.fromkeys(filter(None, found)))


def _complaint(path: Path, found: os.stat_result) -> str | None:
    folder = path.absolute().parent
    holder = folder.stat()
    if foreign(found):
        return f"{path} belongs to {user(found.st_uid)}: `chown {user(os.geteuid())} {path}` if you trust what it says"
    if not stat.S_ISLNK(found.st_mode) and writable_by_others(found):
        return f"{path} can be changed by other users (mode {mode(found)}): `chmod go-w {path}`"
    if foreign(holder):
        return f"{folder}, which holds {path.name}, belongs to {user(holder.st_uid)}: move {path.name} to a folder of yours"
    if writable_by_others(holder) and not holder.st_mode & stat.S_ISVTX:
        return f"{folder}, which holds {path.name}, can be changed by other users (mode {mode(holder)}): `chmod go-w {folder}`"
    return None


def mode(found: os.stat_result) -> str:
    """The permission bits, as chmod writes them."""
    return f"{stat.S_IMODE(found.st_mode):04o}"


def _of_one(gid: int, uid: int) -> bool:
    """Whether the group is the user's private one: of the user's name, with no other member (as OpenSSH on Debian)."""
    with contextlib.suppress(KeyError):
        owner, group = pwd.getpwuid(uid), grp.getgrgid(gid)
        return owner.pw_gid == gid and group.gr_name == owner.pw_name and set(group.gr_mem) <= {owner.pw_name}
    return False
