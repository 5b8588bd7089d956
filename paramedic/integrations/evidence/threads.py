"""The threads of the target's process: how many, which work, which wait, and for what."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from paramedic.errors import PermanentError
from paramedic.kinds.evidence import Gathered, Of, Scene, table

ABOUT = "threads of the process by name and state, the busiest first, and what in the kernel they wait for"
OF = Of.PROCESS

_SHOWN = 25

#: What is busy is what has used CPU between two looks. Seconds.
_BETWEEN = 0.3

#: Of each look so many bytes: some thousand threads.
_BYTES = 300_000

_SCRIPT = f"""
cd "/proc/$1/task" || exit 1
look() {{ find . -maxdepth 2 -name stat -exec cat {{}} + 2>/dev/null | head -c {_BYTES}; }}
part tick; getconf CLK_TCK
part count; ls | wc -l
part limits; grep -E '^Max processes' ../limits
part before; look
sleep {_BETWEEN}
part after; look
part waits; find . -maxdepth 2 -name wchan -exec grep -H . {{}} + | head -c {_BYTES}
"""

# id, (name), state and numbers (proc(5), /proc/pid/stat): a name may have anything in it, but not so many numbers.
_STAT = re.compile(r"^(\d+) \((.*?)\) ([A-Za-z]) ((?:-?\d+ ){30,}-?\d+)$", re.MULTILINE | re.DOTALL)
_UTIME, _STIME = 10, 11

_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "waits for a disk",
    "T": "stopped",
    "t": "traced",
    "Z": "ended",
    "I": "idle",
}


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread at the time of the look."""

    id: int
    name: str
    state: str
    ticks: int  # of CPU, since it began


def gather(scene: Scene) -> Gathered:
    """Two looks, a moment apart. Raises PermanentError where the process is gone."""
    pid = scene.process_id()
    printed = scene.shell(_SCRIPT, str(pid), kept=3 * _BYTES)
    before, after = (dict(read(printed.part(name))) for name in ("before", "after"))
    seen = after or before
    if not seen:
        raise PermanentError(f"process {pid} is gone, or /proc does not show it to this user")
    waits = dict(re.findall(r"^\./(\d+)/wchan:(\w+)$", printed.part("waits"), re.MULTILINE))
    unseen = []
    if set(waits.values()) <= {"0"}:
        unseen.append("what in the kernel they wait for (wchan): not shown to this user; needs root or CAP_SYS_PTRACE")
    if (count := int(printed.part("count").strip() or 0)) > len(seen):
        unseen.append(
            f"{count - len(seen)} threads that began or ended meanwhile, or were too many: `ls /proc/{pid}/task`"
        )
    tick = int(printed.part("tick").strip() or 100)
    return Gathered(told(pid, before, seen, waits, tick), unseen)


def read(stats: str) -> Iterator[tuple[int, Thread]]:
    """The threads, by their ids."""
    for number, name, state, rest in _STAT.findall(stats):
        numbers = rest.split()
        ticks = int(numbers[_UTIME]) + int(numbers[_STIME])
        yield int(number), Thread(int(number), name, _STATES.get(state, state), ticks)


def told(
    pid: int, before: Mapping[int, Thread], after: Mapping[int, Thread], waits: Mapping[str, str], tick: int
) -> str:
    """The threads in words: their states and names counted, then the busiest."""
    states = Counter(thread.state for thread in after.values())
    names = Counter(re.sub(r"\d+", "N", thread.name) for thread in after.values())
    used = {
        number: (thread.ticks - before[number].ticks) / tick / _BETWEEN * 100
        for number, thread in after.items()
        if number in before
    }
    busiest = sorted(after.values(), key=lambda thread: (-used.get(thread.id, 0.0), thread.state != "waits for a disk"))
    rows = [("thread", "cpu %", "state", "waits in", "name")]
    for thread in busiest[:_SHOWN]:
        wait = waits.get(str(thread.id), "")
        rows.append(
            (str(thread.id), f"{used.get(thread.id, 0.0):.0f}", thread.state, "" if wait == "0" else wait, thread.name)
        )
    places = Counter(wait for wait in waits.values() if wait != "0")
    return "\n".join(
        [
            f"process {pid} has {len(after):,} threads: {_counted(states)}",
            f"by name (N: a number): {_counted(names)}",
            *([f"they wait in: {_counted(places)}"] if places else []),
            "",
            table(rows, right=(0, 1)),
        ]
    )


def _counted(counter: Counter[str]) -> str:
    shown = ", ".join(f"{count} {name}" for name, count in counter.most_common(12))
    return shown + (f" and {len(counter) - 12} others" if len(counter) > 12 else "")
