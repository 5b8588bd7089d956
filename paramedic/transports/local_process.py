"""The processes of this machine, from the kernel (`/proc`)."""

import time
from dataclasses import dataclass
from datetime import timedelta

import psutil

from paramedic.errors import PermanentError
from paramedic.kinds.transport import ProcessRow
from paramedic.text.sanitize import one_line

CMDLINE_LIMIT = 500  # characters
ROWS_LIMIT = 200  # a fork bomb is told by its first rows


def resident_memory(pid: int) -> int:
    """Bytes of memory the process holds now. Raises PermanentError if it is gone or may not be read."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except (psutil.Error, ValueError) as error:
        raise _useless(pid, error) from error


@dataclass(frozen=True, slots=True)
class Use:
    """What one process uses."""

    cpu_percent: float  # of one core
    rss: int  # bytes
    memory_percent: float  # of the machine's


def used(pid: int, sample: timedelta = timedelta(milliseconds=500)) -> Use:
    """What the process uses now, CPU over `sample`. Raises PermanentError if it is gone or may not be read."""
    try:
        process = psutil.Process(pid)
        cpu = process.cpu_percent(sample.total_seconds())
        return Use(cpu, int(process.memory_info().rss), process.memory_percent())
    except (psutil.Error, ValueError) as error:
        raise _useless(pid, error) from error


def tree(pid: int, sample: timedelta = timedelta(milliseconds=200)) -> list[ProcessRow]:
    """The process and its descendants, itself first; CPU is measured over `sample`.

    Raises PermanentError if the process is gone or may not be read; a descendant that ends meanwhile is left out.
    """
    try:
        root = psutil.Process(pid)
        family = _family(root)[:ROWS_LIMIT]
    except (psutil.Error, ValueError) as error:
        raise _useless(pid, error) from error
    rows = _rows(family, sample)
    if not rows or rows[0].pid != pid:
        raise PermanentError(f"process {pid} is gone")
    return rows


def every(sample: timedelta = timedelta(milliseconds=200)) -> list[ProcessRow]:
    """Every process that this user may see; CPU is measured over `sample`. One that ends meanwhile is left out."""
    return _rows(list(psutil.process_iter()), sample)


def alive(pid: int, started_at: float) -> bool:
    """Whether the process that began at `started_at` still runs: a pid is reused, a start time is not.

    Two seconds of difference are allowed: supervisord reports whole seconds, the kernel counts from the boot. The moment of
    the boot follows the clock when it is set: only what the process's owner says can prove then that it is the same one.
    """
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started_at) <= 2 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.AccessDenied as error:
        raise _useless(pid, error) from error
    except (psutil.NoSuchProcess, ValueError):
        return False


def running_row(pid: int) -> ProcessRow | None:
    """The process, its use of the CPU not measured; None where none runs."""
    try:
        row = _row(psutil.Process(pid))
    except psutil.AccessDenied as error:
        raise _useless(pid, error) from error
    except (psutil.NoSuchProcess, ValueError):
        return None
    return None if row is None or row.status == psutil.STATUS_ZOMBIE else row


class LocalProcesses:
    """The processes of this machine, as a transport offers them."""

    def memory(self, pid: int) -> int:
        """Bytes of memory that it holds."""
        return resident_memory(pid)

    def use(self, pid: int) -> Use:
        """What it uses now."""
        return used(pid)

    def tree(self, pid: int) -> list[ProcessRow]:
        """It and its descendants."""
        return tree(pid)

    def all(self) -> list[ProcessRow]:
        """All of them."""
        return every()

    def alive(self, pid: int, started_at: float) -> bool:
        """Whether it still runs."""
        return alive(pid, started_at)

    def row(self, pid: int) -> ProcessRow | None:
        """It alone."""
        return running_row(pid)


def _family(root: psutil.Process) -> list[psutil.Process]:
    """The process and its descendants, by their parents alone: psutil's `children` also compares start times, by two clocks."""
    below: dict[int, list[psutil.Process]] = {}
    for process in psutil.process_iter(["ppid"]):
        below.setdefault(process.info["ppid"], []).append(process)
    family = [root]
    for member in family:  # which grows meanwhile
        family += below.pop(member.pid, [])
    return family


def _rows(processes: list[psutil.Process], sample: timedelta) -> list[ProcessRow]:
    for process in processes:
        _cpu(process)
    time.sleep(sample.total_seconds())
    return [row for process in processes if (row := _row(process))]


def _cpu(process: psutil.Process) -> float:
    """Percent of one core since the last call; nothing is known of one that is gone."""
    try:
        return process.cpu_percent()
    except psutil.Error:
        return 0.0


def _row(process: psutil.Process) -> ProcessRow | None:
    try:
        with process.oneshot():
            fields = process.as_dict(["ppid", "name", "cmdline", "memory_info", "create_time", "status"])
    except psutil.NoSuchProcess:
        return None
    memory = fields["memory_info"]
    return ProcessRow(
        pid=process.pid,
        ppid=fields["ppid"] or 0,
        name=one_line(fields["name"] or "?"),
        cmdline=one_line(" ".join(fields["cmdline"] or []))[:CMDLINE_LIMIT],
        rss=memory.rss if memory else 0,
        cpu_percent=_cpu(process),
        started_at=fields["create_time"] or 0.0,
        status=fields["status"] or "?",
    )


def _useless(pid: int, error: Exception) -> PermanentError:
    gone = isinstance(error, psutil.NoSuchProcess | ValueError)
    return PermanentError(f"process {pid} {'is gone' if gone else 'may not be read by this user'}")
