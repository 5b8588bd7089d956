"""The data folder: private to this user, whatever the umask, with nothing in it that another user could have put there."""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from paramedic.errors import PermanentError
from paramedic.machine.file_ownership import foreign, mode, user, writable_by_others

#: The logs of the processes, in the data folder.
LOGS = "logs"

#: May be a symlink: people keep their runbooks in a repository. Nothing is written there.
_READ_ONLY = ("runbooks",)


#: What Paramedic keeps in it, and in it alone.
_OURS = (
    "up.lock",
    "paramedic.db",
    "paramedic.db-wal",
    "paramedic.db-shm",
    "link.key",
    "signing.key",
    "signing.witness",
    "gateway-token",
    "prefect-login",
    "checkpoints.jsonl",
    "oncall-overrides.json",
    "last-good",
    LOGS,
    "prefect",
)


class BadDataFolder(PermanentError):
    """The data folder, or something in it, may be another user's; one line per problem, with the command that fixes it."""


@dataclass(slots=True)
class Inspection:
    """The result of an inspection: `problems` that need a person, and paths that only have to be closed to others."""

    problems: list[str] = field(default_factory=list)
    too_open: list[Path] = field(default_factory=list)


def prepare(folder: Path) -> list[str]:
    """Create the folder, or close the existing one to others; returns what had to be closed.

    Raises BadDataFolder, and OSError where it cannot be made or read.
    """
    if not os.path.lexists(folder):
        make(folder)
    closed = protect(folder)
    logs = folder / LOGS
    if not logs.exists():
        with contextlib.suppress(FileExistsError):
            logs.mkdir(mode=0o700)
    return closed


def is_one(folder: Path) -> bool:
    """Whether the folder is a data folder of Paramedic's."""
    return any(os.path.lexists(folder / name) for name in _OURS)


def make(folder: Path) -> None:
    """Create a folder that is private to this user, and its missing parents, which others may not write in.

    An existing one stays as it is. Raises OSError.
    """
    for above in reversed(folder.absolute().parents):
        if not above.exists():
            with contextlib.suppress(FileExistsError):
                above.mkdir(mode=0o755)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)


def protect(folder: Path) -> list[str]:
    """Make sure that an existing folder is private to this user: closes what is merely too open, and returns what that was.

    Raises BadDataFolder where others may have written in it, and OSError where it cannot be read.
    """
    before = folder.stat()
    found = inspect(folder)
    if found.problems:
        raise BadDataFolder("\n".join(found.problems))
    for path in found.too_open:
        with contextlib.suppress(FileNotFoundError):
            path.chmod(stat.S_IMODE(path.lstat().st_mode) & 0o700)
    if not before.st_mode & 0o077:
        return []  # nobody could reach what is in it
    return [f"{folder} was open to other users of this machine (mode {mode(before)}): it is closed now (0700)"]


def inspect(folder: Path) -> Inspection:
    """Inspect the folder without changing anything. Raises OSError where it does not exist or cannot be read."""
    found = Inspection()
    for path in dict.fromkeys((folder, Path(os.path.realpath(folder, strict=True)))):
        link = path.lstat()
        if foreign(link):
            found.problems.append(_belongs(path, link))
            return found
    there = folder.stat()
    if not stat.S_ISDIR(there.st_mode):
        found.problems.append(f"{folder}: is not a folder; name another with --data or PARAMEDIC_DATA")
    elif there.st_uid != os.geteuid():
        found.problems.append(_belongs(folder, there))
    if found.problems:
        return found
    reachable = bool(there.st_mode & 0o077)
    if reachable:
        found.too_open.append(folder)
    if writable_by_others(there) and any(folder.iterdir()):
        found.problems.append(
            f"{folder}: other users may write in it (mode {mode(there)}), so what it holds may be theirs; look through "
            f"it, then `chmod -R go-rwx {folder}`, or name another folder with --data"
        )
        return found
    for path, entry in _entries(folder, whole=reachable):
        _judge(path, entry, folder, found, reachable=reachable)
    return found


def _judge(path: Path, entry: os.stat_result, folder: Path, found: Inspection, *, reachable: bool) -> None:
    """Add to `found` what is wrong with this entry; `reachable`: whether others can get to it at all."""
    inside = path.relative_to(folder).parts
    ours = len(inside) == 1 or inside[0] == LOGS  # else: what Prefect or an author keeps there
    if foreign(entry):
        found.problems.append(_belongs(path, entry))
    elif stat.S_ISLNK(entry.st_mode):
        if ours and inside[0] not in _READ_ONLY:
            found.problems.append(
                f"{path}: is a symlink; what it leads to would be written: put the file or folder itself there"
            )
    elif ours and not any(is_kind(entry.st_mode) for is_kind in (stat.S_ISREG, stat.S_ISDIR, stat.S_ISSOCK)):
        found.problems.append(f"{path}: is neither a file nor a folder: `rm {path}`")
    elif reachable and writable_by_others(entry):
        found.problems.append(
            f"{path}: other users could write to it (mode {mode(entry)}), so what it says may be theirs; look at it, then "
            f"`chmod go-rwx {path}`"
        )
    elif ours and inside[0] in _OURS and entry.st_mode & 0o077 and entry.st_uid == os.geteuid():
        found.too_open.append(path)


def _entries(folder: Path, *, whole: bool) -> Iterator[tuple[Path, os.stat_result]]:
    """The paths in it and in the folders directly below; all the way down where others could reach them."""
    below = [folder]
    while below:
        inside = below.pop()
        for path in sorted(inside.iterdir()):
            try:
                entry = path.lstat()
            except FileNotFoundError:  # gone meanwhile
                continue
            yield path, entry
            if stat.S_ISDIR(entry.st_mode) and not foreign(entry) and (whole or inside == folder):
                below.append(path)


def _belongs(path: Path, found: os.stat_result) -> str:
    me = user(os.geteuid())
    return (
        f"{path}: belongs to {user(found.st_uid)}, and this process runs as {me}; run it as the owner, remove it, or "
        f"`chown {me} {path}` if you trust what it holds"
    )
