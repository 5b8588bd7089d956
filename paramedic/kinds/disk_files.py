"""Files that may be deleted to free a disk: found, judged, and named so that nothing else is deleted. For the kind `disk`."""

import re
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.evidence import megabytes
from paramedic.kinds.transport import MOST_KEPT, Ended, OutOfTime, Transport
from paramedic.text.sanitize import one_line

_MOUNTS = "/proc/self/mountinfo"

#: So many files are listed of one entry, the oldest first.
MOST_LISTED = 2_000

_OLDEST_FIRST = 'LC_ALL=C; export LC_ALL; most=$1; shift; find "$@" | sort -s -k 2,2n | head -n "$most"'

# Every file that a process has open, by device and inode, and how many processes may not be looked at: as `lsof` finds them.
_HELD = """
exec </dev/null 2>/dev/null
n=0; for p in /proc/[0-9]*/fd; do [ -r "$p" ] || n=$((n + 1)); done; echo "unseen $n"
find /proc/[0-9]*/fd -maxdepth 1 -type l -lname '/*' ! -lname '/dev/*' ! -lname '/memfd:*' -print0 |
xargs -0 -r stat -L -c '%d %i %n' -- | grep -E "^($1) "
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One folder that services.yaml names, and which of its files may be deleted."""

    path: str
    names: tuple[str, ...]  # glob patterns of a file's name
    older_than: timedelta
    depth: int  # 1: the files of the folder itself

    @property
    def which(self) -> list[str]:
        """The test of `find` for the files that are meant, but for their folder and its depth."""
        minutes = -(-int(self.older_than.total_seconds()) // 60)
        return [*self.called, "-mmin", f"+{minutes}"]

    @property
    def called(self) -> list[str]:
        """The test of `find` for their names."""
        named = [word for name in self.names for word in ("-o", "-name", name)][1:]
        return ["(", *named, ")"]


@dataclass(frozen=True, slots=True)
class File:
    """One file. Two of the same key are the same file, unwritten since."""

    device: int
    inode: int
    size: int  # bytes
    written_at: str  # seconds since the epoch, with nine decimals: compared, never reckoned with
    links: int
    taken: int  # bytes of the disk
    path: str  # to be shown: control characters are escaped

    @property
    def key(self) -> tuple[int, int, int, str]:
        """Which file in which state it is."""
        return self.device, self.inode, self.size, self.written_at

    @property
    def words(self) -> str:
        """The file and what it takes."""
        return f"{self.path} ({megabytes(self.taken)})"


@dataclass(frozen=True, slots=True)
class Space:
    """How full a file system is, as `df` has it."""

    free: int  # bytes for everybody
    percent: float  # of what everybody may fill


@dataclass(frozen=True, slots=True)
class Held:
    """Which processes have files open, and how many processes could not be looked at."""

    by: Mapping[tuple[int, int], Sequence[int]]  # the processes, by device and inode
    unseen: int

    def of(self, file: File) -> Sequence[int]:
        """The processes that have the file open."""
        return self.by.get((file.device, file.inode), ())


class Disk:
    """Looks at one mounted file system, by a transport. All raise TemporaryError or PermanentError."""

    def __init__(self, transport: Transport, mount: str, deadline: float) -> None:
        self._transport, self._mount, self._deadline = transport, mount, deadline

    def mounted(self) -> tuple[str, Sequence[str]]:
        """The device that is mounted there (`8:1`), and every mount point of the machine. PermanentError where none is."""
        text = self._answer("cat", _MOUNTS).output
        fields = [line.split(" ") for line in text.splitlines() if line.count(" ") >= 5]
        points = [(_unescaped(row[4]), row[2]) for row in fields]
        device = next((device for point, device in reversed(points) if point == self._mount), None)
        if device is None:
            raise PermanentError(f"{self._mount} is no mount point there")
        return device, [point for point, _ in points]

    def space(self) -> Space:
        """How full it is."""
        said = self._answer("stat", "-f", "-c", "%S %b %f %a", "--", self._mount).output
        try:
            block, blocks, free, available = map(int, said.split())
        except ValueError as error:
            raise TemporaryError(f"{self._mount} does not say how full it is: {one_line(said)[:80]}") from error
        for_all = blocks - free + available
        return Space(available * block, 100 * available / for_all if for_all else 0.0)

    def misplaced(self, entry: Entry, points: Sequence[str]) -> str | None:
        """Why nothing of the entry may be deleted, in words: no such folder, a symlink on its way, another mount."""
        ended = self._run("realpath", "-e", "--", entry.path)
        really = ended.output.removesuffix("\n")
        if ended.code != 0:
            return f"{entry.path} cannot be looked at: {words(ended)}"
        if really != entry.path:
            return f"{entry.path} is reached by a symlink, which is never followed: it is {one_line(really)}"
        holding = max((point for point in points if is_in(entry.path, point)), key=len, default="/")
        if holding != self._mount:
            return f"{entry.path} is on another mount: {one_line(holding)}"
        return None

    def files(self, entry: Entry, points: Sequence[str], *, all_ages: bool = False) -> tuple[list[File], str]:
        """The entry's files, the oldest first, and what `find` complains of; `all_ages`: also those that are too young."""
        token = secrets.token_hex(8)  # a name may have a newline in it: nothing else begins a line with this
        inside = [point for point in points if point != entry.path and is_in(point, entry.path)]
        skipped = [word for point in inside for word in ("-path", _literal(point), "-prune", "-o")]
        tests = ["-type", "f", *(entry.called if all_ages else entry.which)]
        shown = f"{token} %T@ %D %i %s %n %b %P\\n"
        where = ["-P", entry.path, "-xdev", "-mindepth", "1", "-maxdepth", str(entry.depth)]
        ended = self._run(
            *("sh", "-c", _OLDEST_FIRST, "sh", str(MOST_LISTED), *where, *skipped, *tests, "-printf", shown)
        )
        return list(_files(ended.output, token, entry.path)), one_line(ended.errors)[-300:]

    def held(self, devices: Collection[int]) -> Held:
        """Who has files of these devices open."""
        output = self._run("sh", "-c", _HELD, "sh", "|".join(map(str, sorted(devices)))).output
        by: dict[tuple[int, int], list[int]] = {}
        for device, inode, pid in re.findall(r"^(\d+) (\d+) /proc/(\d+)/fd/\d+$", output, re.MULTILINE):
            holders = by.setdefault((int(device), int(inode)), [])
            holders += [] if int(pid) in holders else [int(pid)]
        unseen = re.match(r"unseen (\d+)$", output, re.MULTILINE)
        return Held(by, int(unseen[1]) if unseen else 0)

    def process(self, pid: int) -> str:
        """A process, in words."""
        try:
            row = self._transport.processes.row(pid)
        except (PermanentError, TemporaryError):
            row = None
        return f"process {pid}" + (f" ({one_line(row.name)})" if row is not None else "")

    def _answer(self, *command: str) -> Ended:
        ended = self._run(*command)
        if ended.code != 0:
            raise TemporaryError(f"{self._mount} cannot be looked at: {words(ended)}")
        return ended

    def _run(self, *command: str) -> Ended:
        try:
            return self._transport.run(("env", "LC_ALL=C", *command), self._deadline, kept=MOST_KEPT)
        except OutOfTime as error:
            raise TemporaryError(f"{self._mount} was not looked through in time") from error


def _files(output: str, token: str, path: str) -> Iterator[File]:
    for line in output.splitlines():
        parts = line.split(" ", 7)
        if parts[0] != token or len(parts) != 8 or parts[1].startswith("-"):
            continue
        _, written, device, inode, size, links, blocks, name = parts
        seconds, _, decimals = written.partition(".")
        yield File(
            device=int(device),
            inode=int(inode),
            size=int(size),
            written_at=f"{seconds}.{decimals[:9]:<09}",
            links=int(links),
            taken=int(blocks) * 512,
            path=f"{path}/{one_line(name)}",
        )


def deletion(entries: Sequence[Entry], files: Collection[File]) -> list[str]:
    """The command that deletes these files of the entries and nothing else: each by inode, size and last write, of one name.

    It prints the inode of each that it has deleted, and a dot.
    """
    which = ["-false", *(word for file in files for word in ("-o", *_only(file)))]
    return [*_deleting(entries), "(", *which, ")", "-delete", "-printf", "%i."]


def _deleting(entries: Sequence[Entry]) -> list[str]:
    deepest = max(entry.depth for entry in entries)
    where = ["-P", *(entry.path for entry in entries), "-xdev", "-mindepth", "1", "-maxdepth", str(deepest)]
    meant = [word for entry in entries for word in ("-o", "-path", f"{entry.path}/*", *entry.which)][1:]
    return ["find", *where, "-type", "f", "-links", "1", "(", *meant, ")"]


def _only(file: File) -> list[str]:
    """The test of `find` for this very file: written exactly then."""
    seconds, decimals = file.written_at.split(".")
    nanoseconds = int(seconds) * 10**9 + int(decimals) - 1
    before = f"@{nanoseconds // 10**9}.{nanoseconds % 10**9:09}"
    tests = ["-inum", str(file.inode), "-size", f"{file.size}c", "-newermt", before]
    return [*tests, "!", "-newermt", f"@{file.written_at}"]


#: One file of a deletion, as a POSIX regular expression.
_ANY = "-o -inum [0-9]+ -size [0-9]+c -newermt @[0-9]+[.][0-9]+ [!] -newermt @[0-9]+[.][0-9]+"


def sudoers(entries: Sequence[Entry]) -> str:
    """The arguments of `deletion`, whichever files, as a line of the sudoers has them: sudo 1.9.10 reads regular expressions."""
    constant = _pattern(" ".join(_deleting(entries)[1:]))
    return rf"^{constant} [(] -false( {_ANY})* [)] -delete -printf %i[.]$"


def _pattern(text: str) -> str:
    return "".join(
        char if char.isalnum() or char in "/ _-%@" else rf"\{char}" if char in "[]" else f"[{char}]" for char in text
    )


def is_in(path: str, folder: str) -> bool:
    """Whether the path is the folder, or inside it."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _literal(path: str) -> str:
    """A pattern of `find -path` that only this path fits."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", path)


def _unescaped(field: str) -> str:
    """A path of mountinfo: space, tab, newline and backslash are octal there."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)


def words(ended: Ended) -> str:
    """What a program said last, in one line."""
    return one_line(ended.errors or ended.output)[-300:] or f"it ended with {ended.code}"
