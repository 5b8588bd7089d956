"""How much of a machine is used: processors, memory, disk, inodes, load and open files, by one question to its kernel."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.transport import OutOfTime, Transport
from paramedic.text.sanitize import one_line

# $1 the path, $2 so many seconds between two looks at the processors, or nothing where an earlier look is known.
_LOOK = """
export LC_ALL=C
d=$(df -P -k -- "$1" 2>&1) || { printf 'no %s\\n' "$d"; exit 0; }
sed -n '1s/^cpu /cpu /p' /proc/stat
[ -z "$2" ] || { sleep "$2"; sed -n '1s/^cpu /cpu /p' /proc/stat; }
sed -n 's/^\\(MemTotal\\|MemAvailable\\): *\\([0-9]*\\) kB/\\1 \\2/p' /proc/meminfo
echo "load $(cat /proc/loadavg)"
echo "cores $(getconf _NPROCESSORS_ONLN)"
echo "files $(cat /proc/sys/fs/file-nr)"
echo "boot $(cat /proc/sys/kernel/random/boot_id)"
echo "space $(printf '%s\\n' "$d" | tail -n 1)"
echo "inodes $(df -P -i -- "$1" 2>/dev/null | tail -n 1)"
"""

#: The last four columns of `df -P` before the mount point: size, used, free, share.
_DF = re.compile(r" (\d+|-) +(\d+|-) +(\d+|-) +(\d+%|-) /")


@dataclass(frozen=True, slots=True)
class Ticks:
    """What the processors have done since the boot."""

    boot: str
    busy: int
    all: int


@dataclass(frozen=True, slots=True)
class HostUse:
    """What is used now, in percent but for bytes of memory; and the processors' count for the next look."""

    cpu: float  # of all processors
    memory: float  # bytes that no program could have
    memory_percent: float
    disk: float  # of what an ordinary user may fill
    inodes: float
    load: float  # of the last minute: 100 is one for each processor
    opened: float  # files, of as many as the kernel allows
    ticks: Ticks


def look(transport: Transport, path: str, deadline: float, *, before: Ticks | None, seconds: float) -> HostUse:
    """The use now, of the disk that holds the path; of the processors since `before`, else over so many seconds.

    Raises PermanentError where there is no such path, or no Linux; TemporaryError where it does not answer in time.
    """
    wait = "" if before is not None else f"{seconds:.3f}"
    try:
        ended = transport.run(("sh", "-c", _LOOK, "sh", path, wait), deadline)
    except OutOfTime as error:
        raise TemporaryError("the host did not say in time what is used of it") from error
    if ended.output.startswith("no "):
        raise PermanentError(f"the disk of {path} cannot be read: {one_line(ended.output[3:])[:200]}")
    rows = [line.partition(" ") for line in ended.output.splitlines()]
    said = {word: rest for word, _, rest in rows}
    try:
        boot = said["boot"]
        ticks = [_ticks(boot, rest) for word, _, rest in rows if word == "cpu"]
        earlier = before if before is not None and before.boot == boot else ticks[0]
        return _use(said, earlier, ticks[-1])
    except (KeyError, ValueError, IndexError) as error:
        words = one_line(ended.errors or ended.output)[:200]
        raise PermanentError(f"the host does not say what is used of it, as Linux does: {words}") from error


def _ticks(boot: str, row: str) -> Ticks:
    """Of `cpu` in /proc/stat (proc(5)): what guests use is in the first two already; waiting for a disk is idle."""
    user, nice, system, idle, waiting, irq, softirq, steal = (int(word) for word in row.split()[:8])
    busy = user + nice + system + irq + softirq + steal
    return Ticks(boot, busy, busy + idle + waiting)


def _use(said: Mapping[str, str], before: Ticks, now: Ticks) -> HostUse:
    total, available = (1024 * int(said[name]) for name in ("MemTotal", "MemAvailable"))
    cores = max(int(said["cores"]), 1)
    opened, _, most = (int(word) for word in said["files"].split())
    passed = now.all - before.all
    return HostUse(
        cpu=100 * max(now.busy - before.busy, 0) / passed if passed > 0 else 0.0,
        memory=float(total - available),
        memory_percent=100 * (total - available) / total,
        disk=_share(said["space"]),
        inodes=_share(said["inodes"]),
        load=100 * float(said["load"].split()[0]) / cores,
        opened=100 * opened / most,
        ticks=now,
    )


def _share(row: str) -> float:
    """How much of what a user may fill is used, in percent; nothing where there is no limit, as of some file systems' inodes."""
    found = _DF.search(f" {row}")
    if found is None:
        raise ValueError(row)
    used, free = (0 if word == "-" else int(word) for word in (found[2], found[3]))
    return 100 * used / (used + free) if used + free else 0.0
