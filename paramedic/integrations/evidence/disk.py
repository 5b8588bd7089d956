"""Disks of the host: what is full, in bytes and in inodes, and by which directories; never across a mount."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from paramedic.kinds.evidence import PTRACE, Gathered, Of, Printed, Scene, megabytes, table
from paramedic.machine.clock import boottime

ABOUT = "the host's file systems in bytes and inodes; of each above 80 % the largest directories, and deleted files still open"
OF = Of.HOST

#: A file system that is fuller than this is walked; a walk is work for a machine in trouble. Percent.
_FULL = 80

#: So many walks at most, the fullest first: by bytes and by inodes are two. They share the time that is left.
_WALKS = 4

#: So many levels of directories are summed up, and so many of the largest shown.
_LEVELS, _LARGEST = 4, 20

#: At most so many file systems are asked.
_MOUNTS = 60

#: A server behind one of these that does not answer would hang whoever asks, beyond any signal.
_REMOTE = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|afs|ncpfs|ceph|glusterfs|lustre|gpfs|ocfs2|gfs2|beegfs|9p|virtiofs|davfs|fuse.*|autofs"
)

#: These hold no files of anybody.
_NO_DISK = frozenset(
    {
        *(
            "proc",
            "sysfs",
            "cgroup",
            "cgroup2",
            "devpts",
            "devtmpfs",
            "mqueue",
            "debugfs",
            "tracefs",
            "securityfs",
            "pstore",
        ),
        *(
            "bpf",
            "configfs",
            "fusectl",
            "hugetlbfs",
            "rpc_pipefs",
            "binfmt_misc",
            "nsfs",
            "efivarfs",
            "selinuxfs",
            "ramfs",
        ),
        *("squashfs", "iso9660"),  # written once, and always full
    }
)

_STAT = 'n=0; for m do part $n; stat -f -c "%S %b %f %a %c %d" -- "$m"; n=$((n + 1)); done'

_DELETED = r"""
n=0; for m do part $n; stat -c %d -- "$m"; n=$((n + 1)); done
part deleted
find /proc/[0-9]*/fd -maxdepth 1 -lname '/* (deleted)' \
! -lname '/memfd:*' ! -lname '/dev/*' ! -lname '/SYSV*' -print0 |
head -z -n 200 | xargs -0 -r stat -L -c '%d %s %n' -- 2>/dev/null
"""

# du prints a directory once it has seen all of it: what it printed before its time is over is true. Sorted behind it, not before.
_WALK = r"""
idle=; command -v ionice >/dev/null && idle='ionice -c 3'
part walked
{ timeout --foreground "$2" nice -n 19 $idle du $3 -x -d "$4" -- "$1"; printf '9999999999999999 ended %s\n' $?; } |
sort -rn | head -n "$5"
"""


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system."""

    device: str  # major:minor
    point: str
    kind: str


@dataclass(frozen=True, slots=True)
class Use:
    """How full a file system is."""

    mount: Mount
    size: int  # bytes
    free: int  # bytes for everybody
    used_percent: float  # of what everybody may fill, as df has it
    inodes_percent: float | None  # None: it has no fixed number

    @property
    def worst(self) -> float:
        """The fuller of both, in percent."""
        return max(self.used_percent, self.inodes_percent or 0.0)

    def walks(self) -> Iterator["Walk"]:
        """What it is walked by: bytes, inodes, whichever is full, or both."""
        for by_inodes, percent in ((False, self.used_percent), (True, self.inodes_percent or 0.0)):
            if percent >= _FULL:
                yield Walk(self.mount.point, percent, by_inodes=by_inodes)


@dataclass(frozen=True, slots=True)
class Walk:
    """A full file system, and by what its directories are summed up."""

    point: str
    percent: float
    by_inodes: bool

    @property
    def command(self) -> str:
        """What a person would see the same by."""
        return f"`du {'--inodes ' if self.by_inodes else ''}-x -d {_LEVELS} {self.point}`"


def gather(scene: Scene) -> Gathered:
    """How full each file system is; those that are full are walked until the time is over. Raises as the transport does."""
    found = mounts(scene.shell("cat /proc/self/mountinfo").part(""))
    asked = [mount for mount in found if mount.point == "/" or not _REMOTE.fullmatch(mount.kind)][:_MOUNTS]
    unseen = [
        f"{mount.point}: a {mount.kind} file system is not asked, as a dead server would hang the question; `df {mount.point}`"
        for mount in found
        if mount not in asked
    ]
    printed = scene.shell(_STAT, *(mount.point for mount in asked), within=1.5)
    uses = [use for number, mount in enumerate(asked) if (use := read(mount, printed.part(str(number))))]
    unseen += [
        f"{mount.point}: did not say how full it is" for mount in asked if mount not in [use.mount for use in uses]
    ]
    parts = [told(uses)]
    walks = sorted((walk for use in uses for walk in use.walks()), key=lambda walk: -walk.percent)
    if not walks:
        return Gathered(f"{parts[0]}\n\nnone is above {_FULL} %: the largest directories were not looked for", unseen)
    for text, missing in (_deleted(scene, walks), *_walked(scene, walks[:_WALKS])):
        parts += [text] if text else []
        unseen += missing
    unseen += [f"{walk.point} is full, too, and was not walked: {walk.command}" for walk in walks[_WALKS:]]
    return Gathered("\n\n".join(parts), list(dict.fromkeys(unseen)))


def mounts(mountinfo: str) -> list[Mount]:
    """The file systems of disks, each once, by its shortest mount point (proc(5), /proc/pid/mountinfo)."""
    found: dict[str, Mount] = {}
    shown: dict[str, str] = {}  # of two that are mounted at one place the later one is seen
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.partition(" ")[0]
        if len(fields) < 5 or kind in _NO_DISK:
            continue
        mount = Mount(fields[2], _unescaped(fields[4]), kind)
        if mount.device not in found or len(mount.point) < len(found[mount.device].point):
            found[mount.device] = mount
        shown[mount.point] = mount.device
    visible = [mount for mount in found.values() if shown[mount.point] == mount.device]
    return sorted(visible, key=lambda mount: mount.point)


def read(mount: Mount, stat: str) -> Use | None:
    """The use from `block size, blocks, free, available, inodes, free inodes`; None where it is not told."""
    try:
        block, blocks, free, available, inodes, inodes_free = map(int, stat.split())
    except ValueError:
        return None
    if not blocks:
        return None
    used = blocks - free
    inodes_percent = (inodes - inodes_free) / inodes * 100 if inodes else None
    return Use(mount, block * blocks, block * available, used / max(used + available, 1) * 100, inodes_percent)


def told(uses: Sequence[Use]) -> str:
    """The table, the fullest first."""
    rows = [("mounted at", "kind", "size", "free", "used", "inodes used")]
    for use in sorted(uses, key=lambda use: -use.worst):
        inodes = "no limit" if use.inodes_percent is None else f"{use.inodes_percent:.0f} %"
        sizes = (megabytes(use.size), megabytes(use.free), f"{use.used_percent:.0f} %", inodes)
        rows.append((use.mount.point, use.mount.kind, *sizes))
    return table(rows, right=(2, 3, 4, 5))


def _deleted(scene: Scene, walks: Sequence[Walk]) -> tuple[str, list[str]]:
    """The deleted files of full file systems that programs hold open, and what could not be seen of them."""
    points = list(dict.fromkeys(walk.point for walk in walks))
    printed = scene.shell(_DELETED, *points, within=1.0)
    found = [
        line
        for number, point in enumerate(points)
        for line in still_open(printed.part("deleted"), printed.part(str(number)).strip(), point)
    ]
    unseen = [f"deleted files that others hold open; needs {PTRACE}"] if printed.not_permitted else []
    if not printed.whole:
        unseen.append("not all deleted files that are still open: `lsof +L1` shows them")
    title = "deleted, and held open by a program: nothing is freed before it ends or closes them"
    return "\n".join([title, *found]) if found else "", unseen


def _walked(scene: Scene, walks: Sequence[Walk]) -> Iterator[tuple[str, list[str]]]:
    """The largest directories of each, in its share of the time that is left, and what was not walked."""
    for number, walk in enumerate(walks):
        share = (scene.deadline - scene.seconds_for_answer - boottime()) / (len(walks) - number)
        seconds = max(share - 0.5, 0.2)
        measure = "--inodes" if walk.by_inodes else "-k"
        words = (walk.point, f"{seconds:.1f}", measure, str(_LEVELS), str(_LARGEST + 1))
        printed = scene.shell(_WALK, *words, within=max(share, 0.3))
        ended, lines = largest(printed.part("walked"), by_inodes=walk.by_inodes)
        what = "most files" if walk.by_inodes else "most bytes"
        title = f"directories of {walk.point} with {what}, {_LEVELS} levels deep, other file systems left out"
        yield "\n".join([title, *lines]), list(_not_walked(printed, walk, ended=ended))


def _not_walked(printed: Printed, walk: Walk, *, ended: bool) -> Iterator[str]:
    if not ended:
        yield f"not all of {walk.point} was walked in time: {walk.command} shows the rest"
    if printed.not_permitted:
        yield f"directories of {walk.point} that this user may not read; needs CAP_DAC_READ_SEARCH"


def largest(text: str, *, by_inodes: bool) -> tuple[bool, list[str]]:
    """Whether `du` came to its end, and its directories in words."""
    ended, lines = False, []
    for line in text.splitlines():
        count, _, path = line.replace("\t", " ", 1).partition(" ")
        if path.startswith("ended "):
            ended = path.removeprefix("ended ") in ("0", "1")  # 1: something could not be read
        elif count.isdigit():
            size = f"{int(count):,} files" if by_inodes else megabytes(int(count) * 1024)
            lines.append(f"{size:>20}  {path}")
    return ended, lines


def still_open(text: str, device: str, point: str) -> Iterator[str]:
    """The deleted files of the device mounted there, the largest first, from lines `device size /proc/PID/fd/N`."""
    rows = [line.split(" ", 2) for line in text.splitlines() if line.count(" ") >= 2]
    found = [(int(size), path) for on, size, path in rows if on == device and size.isdigit()]
    for size, path in sorted(found, reverse=True)[:_LARGEST]:
        pid = path.removeprefix("/proc/").partition("/")[0]
        yield f"{megabytes(size):>20}  of {point}: process {pid}, its descriptor {path.rpartition('/')[2]}"


def _unescaped(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)
