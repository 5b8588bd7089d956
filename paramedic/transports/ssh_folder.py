"""One folder of a host, held open by a shell that works in it: every name is looked up from there."""

import contextlib
import errno
import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

from paramedic.errors import OutcomeUnknown
from paramedic.text.sanitize import one_line
from paramedic.transports import local_rights
from paramedic.transports.local_folder import bare
from paramedic.transports.ssh_connection import SshConnection
from paramedic.transports.ssh_dialogue import Cut, Dialogue, dialogue
from paramedic.transports.ssh_shell import quoted

#: A subfolder has at most so many bytes of names.
_NAMES_LIMIT = 1024 * 1024

# The folder is the working directory. `stat` gives the mode in hexadecimal digits: 8 is a file, 4 a folder, a a symlink.
_OPERATIONS = """
readable() { ls -- "$1/." >/dev/null; }
mode() { stat -c '%f %s' -- "$1"; }
bytes() {
s=$(stat -c '%f %s' -- "$1") || return; echo "$s"
case $s in 8*) [ "${s#* }" -gt "$2" ] || dd if="$1" iflag=nofollow,nonblock,fullblock bs=65536 status=none;; esac
}
link() {
if [ -L "$1" ]; then readlink -n -- "$1"; return; fi
stat -c '' -- "$1" >/dev/null && { echo ": Invalid argument" >&2; false; }
}
same() {
a=$(stat -c '%d:%i:%f' -- "$1") && [ -d "$2" ] && [ ! -L "$2" ] && b=$(stat -c '%d:%i:%f' -- "$2/$3") || return 0
[ "$a" = "$b" ] && echo "$a"; :
}
changed() { stat -c %.6Y -- "$1"; }
names() {
[ ! -L "$1" ] || { echo ": Not a directory" >&2; return 1; }
ls -- "$1/." >/dev/null && find "$1/." -mindepth 1 -maxdepth 1 -printf '%f\\0'
}
lock() {
[ ! -L "$1" ] || { echo ": Too many levels of symbolic links" >&2; return 1; }
stat -c '' -- "$1" >/dev/null || return
[ -r "$1" ] && [ -w "$1" ] || { echo ": Permission denied" >&2; return 1; }
}
locked() {
flock -n 8 || { echo ": Resource temporarily unavailable" >&2; return 1; }
[ "$(stat -c '%d:%i' -- "$1")" = "$(stat -L -c '%d:%i' /proc/self/fd/8)" ] || { echo ": Stale file handle" >&2; return 1; }
}
size() { stat -L -c %s "/proc/$$/fd/8"; }
append() {
s=$(size) || return
[ "$s" -eq 0 ] || [ -z "$(tail -c 1 "/proc/$$/fd/8")" ] || printf '\\n' >> "/proc/$$/fd/8" || return
printf %s "$1" >> "/proc/$$/fd/8" && echo "$s"
}
cut_off() { truncate -s "$1" "/proc/$$/fd/8"; }
sync_log() { sync "/proc/$$/fd/8"; }
symlink() { ln -sT -- "$1" "$2"; }
rename() { mv -fT -- "$1" "$2"; }
unlink_it() { rm -- "$1"; }
sync_folder() { sync .; }
me() { id -un && id -u; }
may_write() { stat -c '%f %u' . && { { [ -w . ] && [ -x . ]; } || echo no; }; }
owner() { stat -c '%u %U' -- "$1"; }
may_use() { stat -c '' -- "$1" >/dev/null && { { [ -r "$1" ] && [ -w "$1" ]; } || echo no; }; }
has_open() { for f in /proc/"$1"/fd/*; do [ ! "$f" -ef "$2" ] || return 0; done; false; }
holders() {
d=$(stat -L -c %d -- "$1") && i=$(stat -L -c %i -- "$1") || return
while read -r _ k _ _ p at _; do
[ "$k" = FLOCK ] && [ "${at##*:}" = "$i" ] || continue
o=no; ! has_open "$p" "$1" || o=open
printf '%s %s %s %s %s\\n' "$d" "${at%:*}" "$p" "$o" "$(tr '\\0\\n' '  ' < "/proc/$p/cmdline")"
done < /proc/locks
:
}
"""

#: Where the host's file system itself refuses, no grant helps: `test` does not tell which it is.
_READ_ONLY = ", or remount it where it is read-only"

#: Of the command line of whoever holds a lock, so many characters.
_CMDLINE = 500


class SshLockedFile:
    """A locked file. What cannot be done raises OSError; a change whose answer was lost OutcomeUnknown."""

    def __init__(self, talk: Dialogue, host: str) -> None:
        self._talk, self._host = talk, host
        self._before = 0

    def append(self, line: bytes) -> None:
        """Append a whole line, or nothing."""
        self._before = int(self._talk.ask("size"))
        with _outcome(self._host, "a line was to be added to a log"):
            try:
                self._talk.ask("append", os.fsdecode(line))
            except Cut:
                raise
            except OSError:
                self._talk.ask("cut_off", str(self._before))
                raise

    def take_back(self) -> None:
        """Cut off what the last `append` has added."""
        with _outcome(self._host, "a line was to be taken back"):
            self._talk.ask("cut_off", str(self._before))

    def sync(self) -> None:
        """Wait until the disk has it."""
        self._talk.ask("sync_log")


class SshFolder:
    """An open folder. What cannot be done raises OSError; a rename whose answer was lost OutcomeUnknown.

    A lost answer to `symlink` and `unlink` raises OSError as well: they make and remove what stands beside, and the next
    change begins with removing it.
    """

    def __init__(self, talk: Dialogue, host: str, path: str) -> None:
        """`path`: what it is called in words."""
        self._talk, self._host, self._path = talk, host, path

    def read(self, name: str, limit: int) -> bytes | None:
        """A file's bytes; None where it is not a regular file of at most `limit` bytes."""
        head, _, data = self._talk.ask("bytes", name, str(limit), limit=limit, within=30).partition(b"\n")
        mode, size = head.decode().split(" ")
        if mode.startswith("a"):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return data[:limit] if mode.startswith("8") and int(size) <= limit else None

    def link(self, name: str) -> str:
        """Where a symlink leads."""
        return os.fsdecode(self._talk.ask("link", name))

    def entry(self, link: str, subfolder: str) -> str | None:
        """The name of the folder in `subfolder` that the symlink leads to; None where it leads to none there."""
        leads = bare(self.link(link))
        name = posixpath.basename(leads)
        found = self._talk.ask("same", leads, subfolder, name).decode().strip()
        return name if found.rpartition(":")[2].startswith("4") else None

    def kind(self, name: str) -> Literal["folder", "symlink", "file"] | None:
        """The kind of the entry; None where there is none."""
        try:
            mode = self._talk.ask("mode", name).decode()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if mode.startswith("4"):
            return "folder"
        return "symlink" if mode.startswith("a") else "file"

    def changed_at(self, name: str) -> datetime:
        """When it was last written."""
        return datetime.fromtimestamp(float(self._talk.ask("changed", name)), UTC)

    def names(self, name: str) -> list[str]:
        """The names in a subfolder."""
        found = self._talk.ask("names", name, limit=_NAMES_LIMIT)
        return [os.fsdecode(each) for each in found.split(b"\0") if each]

    @contextmanager
    def locked(self, name: str) -> Iterator[SshLockedFile]:
        """A file, open to append and locked for as long as the shell lives; BlockingIOError where another holds the lock."""
        self._talk.ask("lock", name)
        path = quoted([f"./{name}"])
        self._talk.do(f"{{ command exec 8<{path}; }} 2>/dev/null; ask locked {path}")
        try:
            yield SshLockedFile(self._talk, self._host)
        finally:
            with contextlib.suppress(OSError):  # where the shell is gone, its lock is gone with it
                self._talk.do("exec 8<&-; ask true")

    def unreplaceable(self, name: str) -> str | None:
        """What keeps the host's user from renaming an entry to `name`."""
        mode_and_owner, *no = self._talk.ask("may_write").decode().splitlines()
        who, me = self._user()
        if no:
            return local_rights.not_writable(who, self._path) + _READ_ONLY
        mode, owner = mode_and_owner.split(" ")
        if int(mode, 16) & stat.S_ISVTX and me not in ("0", owner):
            with contextlib.suppress(FileNotFoundError):
                uid, _, its_owner = self._talk.ask("owner", name).decode().strip().partition(" ")
                if uid != me:
                    return local_rights.sticky(who, self._path, name, its_owner)
        return None

    def unwritable(self, name: str) -> str | None:
        """What keeps the host's user from writing to a file."""
        if not self._talk.ask("may_use", name).strip():
            return None
        return local_rights.not_usable(self._user()[0], f"{self._path}/{name}") + _READ_ONLY

    def holder(self, name: str) -> str | None:
        """Which process of the host holds the lock of a file."""
        for line in self._talk.ask("holders", name).decode(errors="replace").splitlines():
            number, theirs, pid, is_open, words = line.split(" ", 4)
            device = f"{os.major(int(number)):02x}:{os.minor(int(number)):02x}"
            if theirs == device or is_open == "open":
                shown = one_line(words.strip())[:_CMDLINE]
                return f"process {pid} ({shown})" if shown else f"process {pid}, or what it has started"
        return None

    def _user(self) -> tuple[str, str]:
        """The name and the number of the user that the host knows us by."""
        name, number = self._talk.ask("me").decode().split()
        return name, number

    def symlink(self, leads_to: str, name: str) -> None:
        """Make a symlink."""
        self._talk.ask("symlink", leads_to, name)

    def rename(self, name: str, to: str) -> None:
        """Rename it to `to`, atomically."""
        with _outcome(self._host, f"{to} was to be replaced"):
            self._talk.ask("rename", name, to)

    def unlink(self, name: str) -> None:
        """Remove it."""
        self._talk.ask("unlink_it", name)

    def sync(self) -> None:
        """Wait until the disk has what was changed in it."""
        self._talk.ask("sync_folder")


@contextmanager
def _outcome(host: str, what: str) -> Iterator[None]:
    try:
        yield
    except Cut as error:
        raise OutcomeUnknown(f"{what} on {host}, which was lost then: {error}") from error


@contextmanager
def opened(connection: SshConnection, path: str) -> Iterator[SshFolder]:
    """The folder, held. Raises OSError by its kind, TemporaryError or PermanentError where the host is not reached."""
    with dialogue(connection, _OPERATIONS) as talk:
        talk.ask("readable", path)
        talk.do(f"cd -P -- {quoted([path])} 2>/dev/null; ask [ $? -eq 0 ]")
        yield SshFolder(talk, connection.host.name, path)
