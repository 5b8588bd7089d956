"""The processes of this machine, from the kernel (`/proc`)."""

import os
import pwd
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.transport import ProcessFacts, ProcessRow
from paramedic.text.sanitize import one_line
from paramedic.transports import process_facts

CMDLINE_LIMIT = 500  # characters
ROWS_LIMIT = 200  # a fork bomb is told by its first rows

#: What shows a process that is there and cannot be seen.
HIDDEN = "log in as its user, or mount /proc with `gid=` of a group that may see all"


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


def facts(pid: int) -> ProcessFacts | None:
    """The process, as `Processes.facts` promises."""
    folder = Path(f"/proc/{int(pid)}")
    try:
        stat, status = (folder / "stat").read_bytes(), (folder / "status").read_text(errors="replace")
        with (folder / "cmdline").open("rb") as file:
            cmdline = file.read(process_facts.LIMIT)
        again = (folder / "stat").read_bytes()
    except PermissionError as error:
        raise PermanentError(f"process {pid} may not be read by this user") from error
    except (FileNotFoundError, ProcessLookupError):
        _must_not_be_hidden(pid)
        return None
    uids = next((line.split()[1:] for line in status.splitlines() if line.startswith("Uid:")), [])
    try:
        name = pwd.getpwuid(int(uids[1])).pw_name
    except (KeyError, IndexError, ValueError):
        name = ""
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    boot = process_facts.Boot(boot_id, psutil.boot_time(), os.sysconf("SC_CLK_TCK"))
    return process_facts.of(pid, process_facts.Files(stat, tuple(uids), cmdline, again, name), boot)


def _must_not_be_hidden(pid: int) -> None:
    """Raises PermanentError where `/proc` hides a process that there is (its mount option `hidepid`)."""
    try:
        os.kill(pid, 0)
    except PermissionError as error:
        raise PermanentError(
            f"process {pid} is another user's, and `/proc` shows it to nobody else: {HIDDEN}"
        ) from error
    except (ProcessLookupError, OverflowError):
        return
    if Path(f"/proc/{int(pid)}").exists():
        raise TemporaryError(f"process {pid} began during the look")


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

    def facts(self, pid: int) -> ProcessFacts | None:
        """What the kernel says of it."""
        return facts(pid)


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
