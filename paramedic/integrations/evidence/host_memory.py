"""The memory map of the host: programs, cache, shared memory, kernel and swap, and what of it grows just now."""

import re
from collections.abc import Mapping

from paramedic.errors import PermanentError
from paramedic.kinds.evidence import Gathered, Of, Scene, megabytes, table

ABOUT = "the host's memory: programs, cache, shared, kernel, swap, what of it grows just now, and how many were killed for it"
OF = Of.HOST

#: What grows is what has grown between two looks. Seconds.
_BETWEEN = 0.5

_SCRIPT = f"""
look() {{ cat /proc/meminfo; grep -E '^(oom_kill|pswpin|pswpout|pgmajfault) ' /proc/vmstat; }}
part before; look
sleep {_BETWEEN}
part after; look
part swaps; cat /proc/swaps
part pressure; cat /proc/pressure/memory
"""

#: Rows of the map: what it is, and the fields of /proc/meminfo that it is the sum of; a minus before what one includes already.
_MAP = (
    ("programs' own (heap, stack)", ("AnonPages",)),
    ("cache of files, mostly given back on demand", ("Cached", "Buffers", "SReclaimable", "-Shmem")),
    ("shared memory and tmpfs", ("Shmem",)),
    ("kernel", ("SUnreclaim", "KernelStack", "PageTables", "Percpu")),
    ("huge pages set aside", ("Hugetlb",)),
    ("free", ("MemFree",)),
)

#: Counters since the boot, with what a growing one says.
_COUNTERS = (
    ("oom_kill", "killed by the kernel for want of memory"),
    ("pswpin", "pages read from swap"),
    ("pswpout", "pages written to swap"),
    ("pgmajfault", "page faults that waited for a disk"),
)


def gather(scene: Scene) -> Gathered:
    """Two looks at `/proc/meminfo`. Raises PermanentError where the host has none."""
    printed = scene.shell(_SCRIPT)
    before, after = fields(printed.part("before")), fields(printed.part("after"))
    now = after if "MemTotal" in after else before
    if "MemTotal" not in now:
        raise PermanentError(f"{scene.target.host} does not show its memory: it has no /proc of Linux")
    parts = [told(before, now), _swaps(printed.part("swaps"))]
    unseen = []
    if pressure := printed.part("pressure"):
        parts.append(f"time that tasks waited for memory\n{pressure}")
    else:
        unseen.append("how long tasks waited for memory: this kernel has no /proc/pressure; needs CONFIG_PSI and psi=1")
    return Gathered("\n\n".join(filter(None, parts)), unseen)


def fields(text: str) -> dict[str, int]:
    """The numbers of /proc/meminfo in bytes, and the counters of /proc/vmstat as they are."""
    found = {}
    for name, number, unit in re.findall(r"^([\w()]+):?\s+(\d+)( kB)?$", text, re.MULTILINE):
        found[name] = int(number) * (1024 if unit else 1)
    return found


def told(before: Mapping[str, int], now: Mapping[str, int]) -> str:
    """The map in words; what has grown from `before` to `now` beside it."""
    total = now["MemTotal"]
    available = now.get("MemAvailable", now.get("MemFree", 0))
    rows = [("", "now", "of all", f"in {_BETWEEN} s")]
    for what, names in _MAP:
        size, was = _sum(now, names), _sum(before, names)
        rows.append((what, megabytes(size), f"{size / total:.0%}", _grown(size - was)))
    counted = [
        f"{what}: {now[name]:,} since the boot, {now[name] - before.get(name, now[name]):,} in {_BETWEEN} s"
        for name, what in _COUNTERS
        if name in now
    ]
    head = f"{megabytes(available)} available of {megabytes(total)} ({available / total:.0%})"
    return "\n".join([head, "", table(rows, right=(1, 2, 3)), "", *counted])


def _sum(meminfo: Mapping[str, int], names: tuple[str, ...]) -> int:
    return sum(-meminfo.get(name[1:], 0) if name.startswith("-") else meminfo.get(name, 0) for name in names)


def _grown(by: int) -> str:
    return "" if abs(by) < 50_000 else f"{'+' if by > 0 else '-'}{megabytes(abs(by))}"


def _swaps(text: str) -> str:
    lines = text.splitlines()[1:]
    if not lines:
        return "no swap"
    rows = []
    for line in lines:
        name, kind, size, used, *_ = line.split()
        rows.append((name, kind, megabytes(int(size) * 1024), megabytes(int(used) * 1024)))
    return table([("swap", "kind", "size", "used"), *rows], right=(2, 3))
