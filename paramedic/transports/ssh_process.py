"""The processes of a host, from its `/proc`, in one round trip a look."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.transport import ProcessFacts, ProcessRow
from paramedic.machine.clock import boottime
from paramedic.text.sanitize import one_line
from paramedic.transports import process_facts
from paramedic.transports.local_process import CMDLINE_LIMIT, HIDDEN, ROWS_LIMIT, Use
from paramedic.transports.ssh_connection import SshConnection
from paramedic.transports.ssh_shell import answer

#: So long a look may take beyond the time that it measures. Seconds.
_LOOK_SECONDS = 10.0

#: So long the use of the CPU is measured, of one process and of a tree. Seconds.
_ONE_SECONDS = 0.5
_TREE_SECONDS = 0.2

#: A look at all processes has at most so many bytes.
_LIMIT = 16 * 1024 * 1024

# pid, (name), state and numbers (proc(5), /proc/pid/stat): a name may have anything in it, but not so many numbers.
_STAT = re.compile(rb"^(\d+) \((.*?)\) ([A-Za-z]) ((?:-?\d+ ){30,}-?\d+)$", re.MULTILINE | re.DOTALL)

#: Places among the numbers after the state.
_PPID, _UTIME, _STIME, _BEGAN, _RSS = 0, 10, 11, 18, 20

_STATES = {"R": "running", "S": "sleeping", "D": "disk-sleep", "T": "stopped", "t": "tracing-stop", "Z": "zombie"}
_STATES |= {"X": "dead", "I": "idle"}

_LOOK = """
getconf CLK_TCK; getconf PAGESIZE; sed -n 's/^btime //p' /proc/stat; sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo
"""


# One process, a line each: ticks a second, the boot's moment and id; then its files, in hexadecimal digits, for a name may have a
# line break in it. What /proc hides (`hidepid`) is there for `kill`.
_FACTS = """
p=/proc/$1
h() { head -c $2 "$1" | od -An -v -tx1 | tr -d ' \\n'; echo; }
getconf CLK_TCK; sed -n 's/^btime //p' /proc/stat; cat /proc/sys/kernel/random/boot_id
if [ -d "$p" ]; then
h "$p/stat" 4096; sed -n 's/^Uid:[^0-9]*//p' "$p/status"; h "$p/cmdline" $2; h "$p/stat" 4096
set -- $(sed -n 's/^Uid:[^0-9]*//p' "$p/status"); getent passwd "$2" | cut -d: -f1
else
case $(kill -s 0 "$1" 2>&1) in *ermitted*) echo hidden;; *) echo gone;; esac
fi
"""


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    name: str
    state: str
    ppid: int
    ticks: int  # of CPU
    began: int  # ticks after the boot
    pages: int


@dataclass(frozen=True, slots=True)
class _Seen:
    """All that was seen by one look."""

    tick: int  # a second has so many
    page: int  # bytes
    booted_at: float
    memory: int  # bytes
    before: dict[int, _Process]
    after: dict[int, _Process]
    uptime: tuple[float, float]  # seconds, at both
    words: dict[int, str]

    def row(self, one: _Process) -> ProcessRow:
        first, seconds = self.before.get(one.pid, one), self.uptime[1] - self.uptime[0]
        used = (one.ticks - first.ticks) / self.tick if first.began == one.began else 0.0
        return ProcessRow(
            pid=one.pid,
            ppid=one.ppid,
            name=one_line(one.name),
            cmdline=one_line(self.words.get(one.pid, ""))[:CMDLINE_LIMIT],
            rss=one.pages * self.page,
            cpu_percent=max(used, 0.0) / seconds * 100 if seconds > 0 else 0.0,
            started_at=self.booted_at + one.began / self.tick,
            status=_STATES.get(one.state, one.state),
        )


class SshProcesses:
    """The processes of a host. All raise TemporaryError where it does not answer."""

    def __init__(self, connection: SshConnection) -> None:
        self._connection = connection

    def memory(self, pid: int) -> int:
        """Bytes of memory that it holds."""
        return self.use(pid, seconds=0).rss

    def use(self, pid: int, *, seconds: float = _ONE_SECONDS) -> Use:
        """What it uses now."""
        seen = self._seen(pid, seconds)
        row = seen.row(_of(seen, pid))
        return Use(row.cpu_percent, row.rss, row.rss / seen.memory * 100)

    def tree(self, pid: int) -> list[ProcessRow]:
        """It and its descendants."""
        seen = self._seen(None, _TREE_SECONDS)
        family = [_of(seen, pid), *_descendants(seen.after, pid)]
        return [seen.row(one) for one in family[:ROWS_LIMIT]]

    def all(self) -> list[ProcessRow]:
        """All of them."""
        seen = self._seen(None, _TREE_SECONDS)
        return [seen.row(one) for one in seen.after.values()]

    def alive(self, pid: int, started_at: float) -> bool:
        """Whether it still runs; as `local_process.alive` two seconds of difference are allowed."""
        row = self.row(pid)
        return row is not None and abs(row.started_at - started_at) <= 2

    def row(self, pid: int) -> ProcessRow | None:
        """It alone."""
        seen = self._seen(pid, 0)
        one = seen.after.get(pid)
        return None if one is None or one.state == "Z" else seen.row(one)

    def facts(self, pid: int) -> ProcessFacts | None:
        """What the kernel says of it."""
        script = f"exec 2>/dev/null\nset -- {int(pid)} {process_facts.LIMIT}\n{_FACTS}"
        said = answer(self._connection, script, boottime() + _LOOK_SECONDS).decode(errors="replace").splitlines()
        if said[3:] == ["gone"]:
            return None
        if said[3:] == ["hidden"]:
            raise PermanentError(f"process {pid} is another user's, and `/proc` shows it to nobody else: {HIDDEN}")
        try:
            tick, booted_at, boot, stat, uids, cmdline, again, *name = said
            read = [bytes.fromhex(word) for word in (stat, cmdline, again)]
            files = process_facts.Files(read[0], tuple(uids.split()), read[1], read[2], "".join(name))
            boots = process_facts.Boot(boot, float(booted_at), int(tick))
        except ValueError as error:
            raise TemporaryError(f"process {pid} of {self._connection.host.name} ended during the look") from error
        return process_facts.of(pid, files, boots)

    def _seen(self, pid: int | None, seconds: float) -> _Seen:
        """One look at a process, or at all; their CPU over so many seconds."""
        which = "[0-9]*" if pid is None else str(int(pid))
        stats = f"cat /proc/uptime; cat /proc/{which}/stat"
        words = f"grep -z -a -H '' /proc/{which}/cmdline | head -c {_LIMIT // 4}"
        split = "printf '\\0-\\0'"
        wait = f"sleep {seconds}; {stats};" if seconds else ""
        script = f"exec 2>/dev/null; {_LOOK} {split}; {stats}; {split}; {wait} {split}; {words}"
        said = answer(self._connection, script, boottime() + _LOOK_SECONDS + seconds, limit=_LIMIT)
        try:
            system, first, second, cmdlines = said.split(b"\0-\0", 3)
            tick, page, booted_at, memory = (int(word) for word in system.split())
            before_at, before = _processes(first)
            after_at, after = _processes(second) if seconds else (before_at, before)
        except ValueError as error:
            raise TemporaryError(
                f"{self._connection.host.name} does not show its processes: it has no /proc of Linux"
            ) from error
        return _Seen(
            tick, page, float(booted_at), memory * 1024, before, after, (before_at, after_at), _cmdlines(cmdlines)
        )


def _of(seen: _Seen, pid: int) -> _Process:
    found = seen.after.get(pid)
    if found is None:
        raise PermanentError(f"process {pid} is gone, or may not be read by this user")
    return found


def _processes(text: bytes) -> tuple[float, dict[int, _Process]]:
    uptime, _, stats = text.partition(b"\n")
    found = {}
    for pid, name, state, rest in _STAT.findall(stats):
        numbers = [int(number) for number in rest.split()]
        found[int(pid)] = _Process(
            int(pid),
            name.decode(errors="backslashreplace"),
            state.decode(),
            numbers[_PPID],
            numbers[_UTIME] + numbers[_STIME],
            numbers[_BEGAN],
            numbers[_RSS],
        )
    return float(uptime.split()[0]), found


def _cmdlines(text: bytes) -> dict[int, str]:
    """The arguments of each process, from lines `/proc/PID/cmdline:ARGUMENT` that end with NUL."""
    found: dict[int, list[str]] = {}
    for line in text.split(b"\0"):
        path, colon, word = line.partition(b":")
        if colon and (pid := path.removeprefix(b"/proc/").removesuffix(b"/cmdline")).isdigit():
            found.setdefault(int(pid), []).append(word.decode(errors="backslashreplace"))
    return {pid: " ".join(words) for pid, words in found.items()}


def _descendants(processes: dict[int, _Process], pid: int) -> Iterator[_Process]:
    children = sorted(
        (one for one in processes.values() if one.ppid == pid and one.pid != pid), key=lambda one: one.pid
    )
    yield from children
    for child in children:
        yield from _descendants(processes, child.pid)
