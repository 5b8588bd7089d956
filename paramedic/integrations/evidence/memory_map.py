"""The memory of the target's process: its heap, files, shared memory and swap, and how near its cgroup is to its limit."""

import re
from collections import Counter
from collections.abc import Mapping

from paramedic.errors import PermanentError
from paramedic.kinds.evidence import PTRACE, Gathered, Of, Printed, Scene, megabytes, table

ABOUT = (
    "memory of the process: heap, files, shared, swap, what grows just now, its largest mappings, its cgroup's limit"
)
OF = Of.PROCESS

_SHOWN = 15

#: What grows is what has grown between two looks. Seconds.
_BETWEEN = 0.5

#: While smaps is read, the process cannot change its own memory map: some 20 ms for each GB. A larger one is left alone. Bytes.
_SMAPS_AT_MOST = 2 * 1024**3

# A container sees its own cgroup as `/`, another's as `/../…`: both are found below /sys/fs/cgroup, or not at all.
_SCRIPT = f"""
cd "/proc/$1" || exit 1
look() {{ grep -E '^(Vm|Rss|Threads|Hugetlb)' status; }}
part before; look
sleep {_BETWEEN}
part after; look
part cgroup
while IFS=: read -r _ names path; do
case ",$names," in
*,memory,*) at="/sys/fs/cgroup/memory$path";;
,,) at="/sys/fs/cgroup$path";;
*) continue;;
esac
cd "$at" 2>/dev/null || continue
for file in memory.current memory.max memory.usage_in_bytes memory.limit_in_bytes memory.failcnt; do
[ -r $file ] && echo "$file $(cat $file)"
done
[ -r memory.events ] && sed 's/^/events./' memory.events
[ -r memory.stat ] && grep -E '^(total_)?inactive_file ' memory.stat | sed 's/^/stat./'
done < cgroup
cd "/proc/$1" || exit 1
part mappings
rss=$(sed -n 's/^VmRSS:[[:space:]]*\\([0-9]*\\) kB/\\1/p' status)
if [ "${{rss:-0}}" -le "$2" ]; then grep -E '^[0-9a-f]+-[0-9a-f]+ |^(Rss|Swap):' smaps | head -c 180000; else echo left; fi
"""

_ROWS = (
    ("heap and stacks (RssAnon)", "RssAnon"),
    ("files and libraries, which can be dropped (RssFile)", "RssFile"),
    ("shared memory (RssShmem)", "RssShmem"),
    ("in swap (VmSwap)", "VmSwap"),
    ("page tables (VmPTE)", "VmPTE"),
)

#: A limit of this size or more is none (cgroup v1 has its own word for it).
_NO_LIMIT = 2**60


def gather(scene: Scene) -> Gathered:
    """Two looks, a moment apart. Raises PermanentError where the process is gone."""
    pid = scene.process_id()
    printed = scene.shell(_SCRIPT, str(pid), str(_SMAPS_AT_MOST // 1024))
    before, after = status(printed.part("before")), status(printed.part("after"))
    now = after or before
    if not now:
        raise PermanentError(f"process {pid} is gone, or /proc does not show it to this user")
    parts = [told(pid, before, now), cgroup(printed.part("cgroup")), mappings(printed.part("mappings"))]
    return Gathered("\n\n".join(filter(None, parts)), _unseen(printed, now))


def _unseen(printed: Printed, now: Mapping[str, int]) -> list[str]:
    unseen = []
    found = printed.part("mappings")
    if found == "left":
        size = megabytes(now.get("VmRSS", 0))
        unseen.append(
            f"its mappings: smaps of {size} would hold its memory lock while it is read; `pmap -X` by a person shows them"
        )
    elif not found and now.get("VmRSS"):
        unseen.append(
            f"its mappings: not permitted; needs {PTRACE}" if printed.whole else "its mappings: not read in time"
        )
    if not printed.part("cgroup"):
        unseen.append("the limit of its cgroup: /sys/fs/cgroup does not show it; the memory controller would")
    return unseen


def status(text: str) -> dict[str, int]:
    """The numbers of /proc/pid/status, in bytes where they have a unit."""
    found = re.findall(r"^(\w+):\s+(\d+)( kB)?$", text, re.MULTILINE)
    return {name: int(number) * (1024 if unit else 1) for name, number, unit in found}


def told(pid: int, before: Mapping[str, int], now: Mapping[str, int]) -> str:
    """The map in words; what has grown from `before` to `now` beside it."""
    rows = [("", "now", f"in {_BETWEEN} s")]
    for what, name in _ROWS:
        if name in now:
            by = now[name] - before.get(name, now[name])
            rows.append((what, megabytes(now[name]), f"{'+' if by > 0 else '-'}{megabytes(abs(by))}" if by else ""))
    head = f"process {pid} holds {megabytes(now.get('VmRSS', 0))}, at its most {megabytes(now.get('VmHWM', 0))}"
    return f"{head}\n\n{table(rows, right=(1, 2))}"


def cgroup(text: str) -> str:
    """What its cgroup holds and may hold. What the kernel could drop at once (inactive files) does not count towards a kill."""
    found = {name: int(value) for name, value in re.findall(r"^(\S+) (\d+)$", text, re.MULTILINE)}
    current = found.get("memory.current", found.get("memory.usage_in_bytes"))
    if current is None:
        return ""
    limit = found.get("memory.max", found.get("memory.limit_in_bytes", _NO_LIMIT))
    idle = found.get("stat.total_inactive_file", found.get("stat.inactive_file", 0))
    needed = max(current - idle, 0)
    of = "no limit" if limit >= _NO_LIMIT else f"{needed / limit:.0%} of its limit of {megabytes(limit)}"
    lines = [
        f"its cgroup holds {megabytes(current)}, {megabytes(needed)} without files that can be dropped at once: {of}"
    ]
    kills = found.get("events.oom_kill", 0)
    if kills:
        lines.append(f"{kills} processes of its cgroup were killed for want of memory")
    if hits := found.get("events.max", found.get("memory.failcnt", 0)):
        lines.append(f"its limit was reached {hits:,} times")
    return "\n".join(lines)


def mappings(smaps: str) -> str:
    """The mappings that hold most memory, by name, from the address lines, `Rss` and `Swap` of /proc/pid/smaps."""
    resident: Counter[str] = Counter()
    swapped: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    name = ""
    for line in smaps.splitlines():
        if found := re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$", line):
            name = found[1] or "[anonymous]"
            counted[name] += 1
        elif found := re.match(r"(Rss|Swap): +(\d+) kB$", line):
            (resident if found[1] == "Rss" else swapped)[name] += int(found[2]) * 1024
    if not resident:
        return ""
    rows = [
        (megabytes(size), megabytes(swapped[what]), str(counted[what]), what)
        for what, size in resident.most_common(_SHOWN)
    ]
    return table([("resident", "in swap", "mappings", "what"), *rows], right=(0, 1, 2))
