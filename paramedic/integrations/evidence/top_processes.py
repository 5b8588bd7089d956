"""The processes of the host that use most CPU and memory, and what waits for a disk."""

from collections import Counter
from collections.abc import Sequence

from paramedic.kinds.evidence import Gathered, Of, Scene, megabytes, table
from paramedic.kinds.transport import ProcessRow

ABOUT = "the processes of the host that use most CPU and memory, its load, and which wait for a disk or are left over"
OF = Of.HOST

#: So many processes of each list are shown, and so many characters of a command.
_SHOWN, _COMMAND = 15, 160

_SCRIPT = "part load; cat /proc/loadavg; part cores; nproc; part pressure; cat /proc/pressure/cpu"


def gather(scene: Scene) -> Gathered:
    """Two looks at all processes, a moment apart. Raises as the transport's processes do."""
    printed = scene.shell(_SCRIPT, within=1)
    head = f"load {printed.part('load') or 'unknown'}; cores {printed.part('cores') or 'unknown'}"
    if pressure := printed.part("pressure"):
        head += f"\ntasks that waited for CPU: {pressure.splitlines()[0]}"
    rows = scene.transport.processes.all()
    return Gathered(f"{head}\n\n{told(rows)}", unseen(rows))


def told(rows: Sequence[ProcessRow]) -> str:
    """What the processes use, in words."""
    states = Counter(row.status for row in rows)
    counted = ", ".join(f"{count} {state}" for state, count in states.most_common())
    busy = sorted((row for row in rows if row.cpu_percent), key=lambda row: -row.cpu_percent)
    parts = [
        f"{len(rows)} processes: {counted}",
        f"by CPU (percent of one core)\n{_listed(busy)}",
        f"by resident memory\n{_listed(sorted(rows, key=lambda row: -row.rss))}",
    ]
    for state, why in (("disk-sleep", "wait for a disk or a network file system"), ("zombie", "ended, not waited for")):
        if found := [row for row in rows if row.status == state]:
            parts.append(f"{why}\n{_listed(found)}")
    return "\n\n".join(parts)


def unseen(rows: Sequence[ProcessRow]) -> tuple[str, ...]:
    """What a `/proc` that shows each user only its own processes hides."""
    if any(row.pid == 1 for row in rows):
        return ()
    return ("processes of other users: /proc is mounted with hidepid; needs the group of its gid= option, or root",)


def _listed(rows: Sequence[ProcessRow]) -> str:
    lines = [
        (str(row.pid), str(row.ppid), f"{row.cpu_percent:.1f}", megabytes(row.rss), row.status, _command(row))
        for row in rows[:_SHOWN]
    ]
    return table([("pid", "parent", "cpu %", "resident", "state", "command"), *lines], right=(0, 1, 2, 3))


def _command(row: ProcessRow) -> str:
    return (row.cmdline or f"[{row.name}]")[:_COMMAND]
