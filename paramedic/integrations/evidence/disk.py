"""Disks of the host: what is full, in bytes and in inodes, and by which directories; never across a mount."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from paramedic.kinds.evidence import PTRACE, Gathered, Of, Printed, Scene, megabytes, table
from paramedic.machine.clock import boottime

ABOUT = "the host's file systems in bytes and inodes; of one above 80 % the largest directories, and deleted files still open"
OF = Of.HOST

#: A file system that is fuller than this is walked; a walk is work for a machine in trouble. Percent.
_FULL = 80

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

# du prints a directory once it has seen all of it: what it printed before its time is over is true. Sorted behind it, not before.
_WALK = r"""
idle=; command -v ionice >/dev/null && idle='ionice -c 3'
part deleted
find /proc/[0-9]*/fd -maxdepth 1 -lname '/* (deleted)' \
! -lname '/memfd:*' ! -lname '/dev/*' ! -lname '/SYSV*' -print0 2>/dev/null |
head -z -n 200 | xargs -0 -r stat -L -c '%d %s %n' -- 2>/dev/null
part device; stat -c %d -- "$1"
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


def gather(scene: Scene) -> Gathered:
    """How full each file system is; the fullest is walked until the time is over. Raises as the transport does."""
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
    if not uses or (fullest := max(uses, key=lambda use: use.worst)).worst < _FULL:
        parts.append(f"none is above {_FULL} %: the largest directories were not looked for")
    else:
        text, missing = _walked(scene, fullest)
        parts.append(text)
        unseen += missing
    return Gathered("\n\n".join(parts), unseen)


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


def _walked(scene: Scene, full: Use) -> tuple[str, list[str]]:
    by_inodes = (full.inodes_percent or 0.0) > full.used_percent
    seconds = max(scene.deadline - boottime() - 0.7, 0.2)
    words = (full.mount.point, f"{seconds:.1f}", "--inodes" if by_inodes else "-k", str(_LEVELS), str(_LARGEST + 1))
    printed = scene.shell(_WALK, *words)
    ended, lines = largest(printed.part("walked"), by_inodes=by_inodes)
    what = "most files" if by_inodes else "most bytes"
    parts = [
        f"directories of {full.mount.point} with {what}, {_LEVELS} levels deep, other file systems left out",
        *lines,
    ]
    deleted = list(still_open(printed.part("deleted"), printed.part("device").strip()))
    parts += (
        ["", "deleted, and held open by a program: nothing is freed before it ends or closes them", *deleted]
        if deleted
        else []
    )
    return "\n".join(parts), list(_not_walked(printed, full, ended=ended))


def _not_walked(printed: Printed, full: Use, *, ended: bool) -> Iterator[str]:
    if not ended:
        yield f"not all of {full.mount.point} was walked in time: `du -x -d {_LEVELS} {full.mount.point}` shows the rest"
    if printed.not_permitted:
        yield (
            f"directories of {full.mount.point} that this user may not read, and deleted files of others; "
            f"needs CAP_DAC_READ_SEARCH and {PTRACE}"
        )


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


def still_open(text: str, device: str) -> Iterator[str]:
    """The deleted files of the device, the largest first, from lines `device size /proc/PID/fd/N`."""
    rows = [line.split(" ", 2) for line in text.splitlines() if line.count(" ") >= 2]
    found = [(int(size), path) for on, size, path in rows if on == device and size.isdigit()]
    for size, path in sorted(found, reverse=True)[:_LARGEST]:
        pid = path.removeprefix("/proc/").partition("/")[0]
        yield f"{megabytes(size):>20}  process {pid}, its descriptor {path.rpartition('/')[2]}"


def _unescaped(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)
