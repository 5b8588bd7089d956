"""What the kernel has written in the last day: whom it killed for want of memory, tasks that hung, disks that failed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from paramedic.kinds.evidence import Gathered, Of, Scene

ABOUT = "the kernel's log of the last day: OOM kills first, hung tasks, failing disks, crashes of programs, full tables"
OF = Of.HOST

#: What is worth a look, as a pattern of `grep -E -i`.
_WORTH = (
    "out of memory|oom-kill|killed process|hung_task|blocked for more than|i/o error|segfault|general protection"
    "|remounting filesystem|ext4-fs error|xfs .*(error|corrupt)|btrfs.*error|table full|link is down|nic link is"
    "|soft lockup|detected stall|call trace|hardware error|mce:|throttled|no space left|nfs: server .* not responding"
)

#: The newest lines of these are kept.
_LINES = 200

_SCRIPT = """
part uptime; cat /proc/uptime
if dmesg >/dev/null 2>&1; then
part dmesg; dmesg | grep -E -i "$1" | tail -n "$2"
else
part refused; dmesg 2>&1 >/dev/null
part journal; journalctl --no-pager --quiet --dmesg --since=-24h --output=short-unix | grep -E -i "$1" | tail -n "$2"
fi
"""

_DMESG = re.compile(r"^\[ *(\d+\.\d+)\] (.*)$")
_JOURNAL = re.compile(r"^(\d+\.\d+) \S+ kernel: (.*)$")

#: The line about each kill, as kernels have written it since 2.6.
_KILLED = re.compile(r"Kill(?:ed)? process (\d+) \(([^)]*)\)(.*)")
_CONSTRAINT = re.compile(
    r"oom-kill:constraint=(\w{1,40}),(?:[^,]{0,100},){0,12}?task_memcg=([^,]{0,300}),task=([^,]{0,100}),pid=(\d{1,10})"
)

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the kernel's log; `at` is None where it has no time."""

    at: datetime | None
    text: str

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%SZ}  {self.text}" if self.at else self.text


def gather(scene: Scene) -> Gathered:
    """One look at the kernel's own buffer, else at the journal. What neither shows is said; it raises as the transport does."""
    printed = scene.shell(_SCRIPT, _WORTH, str(_LINES))
    uptime = float((printed.part("uptime").split() or ["0"])[0])
    lines = list(read(printed.part("dmesg") or printed.part("journal"), scene.now - timedelta(seconds=uptime)))
    lines = [line for line in lines if line.at is None or line.at >= scene.now - _DAY]
    unseen = []
    if "refused" in printed.parts and (not printed.part("journal") or printed.not_permitted):
        why = printed.part("refused") or "dmesg is not there"
        unseen.append(f"{why}; needs CAP_SYSLOG or root (kernel.dmesg_restrict), or the group systemd-journal")
    if not printed.whole:
        unseen.append("not all of it: the log was not read to its end in time; `journalctl --dmesg` shows the rest")
    return Gathered(told(lines), unseen)


def read(text: str, booted_at: datetime) -> Iterator[Line]:
    """The lines of `dmesg`, or of `journalctl --output=short-unix`."""
    for line in filter(None, text.splitlines()):
        if found := _DMESG.match(line):
            yield Line(booted_at + timedelta(seconds=float(found[1])), found[2])
        elif found := _JOURNAL.match(line):
            yield Line(datetime.fromtimestamp(float(found[1]), UTC), found[2])
        else:
            yield Line(None, line)


def told(lines: list[Line]) -> str:
    """The lines in words: first who was killed for want of memory, then all, the newest first."""
    if not lines:
        return "nothing that is worth a look in the last day"
    killed = _kills(lines)
    parts = [f"killed for want of memory, the newest first: {len(killed)}", *reversed(killed), ""]
    parts += [f"lines, the newest first: {len(lines)}", *map(str, reversed(lines))]
    return "\n".join(parts)


def _kills(lines: list[Line]) -> list[str]:
    """Each process that was killed, once: the kernel writes the limit that was reached on another line than the kill."""
    limits = {found[4]: found for line in lines if (found := _CONSTRAINT.search(line.text))}
    kills = {}
    for line in lines:
        if found := _KILLED.search(line.text):
            kills[line] = f"process {found[1]} ({found[2]}){found[3]}{_limit(limits.pop(found[1], None))}"
    for line in lines:
        if (found := _CONSTRAINT.search(line.text)) and found[4] in limits:
            kills[line] = f"process {found[4]} ({found[3]}){_limit(found)}"
    return [str(Line(line.at, kill)) for line, kill in kills.items()]


def _limit(found: re.Match[str] | None) -> str:
    if found is None:
        return ""
    reached = (
        "the whole machine had no more" if found[1] == "CONSTRAINT_NONE" else f"the limit of {found[2]} was reached"
    )
    return f" ({reached})"
