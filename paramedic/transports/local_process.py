"""The processes of this machine, as the kernel tells them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import psutil

from paramedic.errors import PermanentError
from paramedic.remediation.target import Identity, Target
from paramedic.text.sanitize import one_line

CMDLINE_LIMIT = 500  # characters
ROWS_LIMIT = 200  # a fork bomb is told by its first rows


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One process as it was seen."""

    pid: int
    ppid: int
    name: str
    cmdline: str  # data: control characters are escaped, and it is cut
    rss: int  # bytes
    cpu_percent: float  # of one core
    started_at: float  # seconds since the epoch
    status: str


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

    Raises PermanentError if the process is gone or may not be read; a descendant that goes while we look is left out.
    """
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)][:ROWS_LIMIT]
    except (psutil.Error, ValueError) as error:
        raise _useless(pid, error) from error
    for process in family:
        _cpu(process)
    time.sleep(sample.total_seconds())
    rows = [row for process in family if (row := _row(process))]
    if not rows or rows[0].pid != pid:
        raise PermanentError(f"process {pid} is gone")
    return rows


def alive(pid: int, started_at: float) -> bool:
    """Whether the process that began at `started_at` still runs: a pid is given anew, a start time is not.

    Two seconds of difference are allowed: supervisord tells whole seconds, the kernel counts from the boot.
    """
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started_at) <= 2 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.AccessDenied as error:
        raise _useless(pid, error) from error
    except (psutil.NoSuchProcess, ValueError):
        return False


def process_identity(
    pid: int | None, started_at: float | None, state: str, *, invocation: str | None = None
) -> Identity:
    """An instance that is a process: None where none is running, or nobody says when it began (seconds since the epoch).

    `invocation`: the owner's own name of the instance.
    """
    more = {} if invocation is None else {"invocation": invocation}
    return Identity(state, {"pid": pid, "started_at": started_at, **more})


def process_of(identity: Identity) -> tuple[int | None, float | None]:
    """The process that `process_identity` was given: its pid, and when it began."""
    pid, started_at = identity.instance.get("pid"), identity.instance.get("started_at")
    return None if pid is None else int(pid), None if started_at is None else float(started_at)


def has_process(identity: Identity) -> bool:
    """Whether there is a process."""
    return process_of(identity)[0] is not None


def restarted(before: Identity, now: Identity) -> bool:
    """Whether another process is there now than before; not where there is none now."""
    return has_process(now) and process_of(now) != process_of(before)


def evidence(identity: Callable[[Target], Identity]) -> Mapping[str, Callable[[Target], str]]:
    """The kinds of evidence that the process of a target on this machine gives; `identity` asks the target's owner for it."""

    def process_tree(target: Target) -> str:
        rows = tree(_running_pid(identity(target), target))
        lines = [f"{'pid':>8} {'parent':>8} {'resident B':>14} {'cpu %':>6}  command"]
        lines += [f"{row.pid:>8} {row.ppid:>8} {row.rss:>14,} {row.cpu_percent:>6.1f}  {row.cmdline}" for row in rows]
        return "\n".join(lines)

    def memory(target: Target) -> str:
        pid = _running_pid(identity(target), target)
        return f"process {pid} holds {resident_memory(pid):,} B of resident memory"

    return {"process-tree": process_tree, "memory": memory}


def memory_of(target: Target, identity: Identity) -> int:
    """Bytes of memory that the target's process holds now. Raises PermanentError if it is gone or may not be read."""
    return resident_memory(_running_pid(identity, target))


def use_of(target: Target, identity: Identity) -> tuple[Use, str]:
    """What the target's process uses, and which process that is, in words.

    Raises PermanentError if there is none on this machine: the pid may be that of another machine's process.
    """
    pid = _running_pid(identity, target)
    started_at = identity.instance["started_at"]
    if started_at is not None and not alive(pid, float(started_at)):
        raise PermanentError(f"process {pid} of {target.id} is none of this machine")
    return used(pid), f"process {pid}"


def _running_pid(identity: Identity, target: Target) -> int:
    pid = identity.instance["pid"]
    if pid is None:
        raise PermanentError(f"no process of {target.id} is running: {identity.state}")
    return int(pid)


def _cpu(process: psutil.Process) -> float:
    """Percent of one core since the last call; nothing is known of one that is gone."""
    try:
        return process.cpu_percent()
    except psutil.Error:
        return 0.0


def _row(process: psutil.Process) -> ProcessRow | None:
    try:
        with process.oneshot():
            said = process.as_dict(["ppid", "name", "cmdline", "memory_info", "create_time", "status"])
    except psutil.NoSuchProcess:
        return None
    memory = said["memory_info"]
    return ProcessRow(
        pid=process.pid,
        ppid=said["ppid"] or 0,
        name=one_line(said["name"] or "?"),
        cmdline=one_line(" ".join(said["cmdline"] or []))[:CMDLINE_LIMIT],
        rss=memory.rss if memory else 0,
        cpu_percent=_cpu(process),
        started_at=said["create_time"] or 0.0,
        status=said["status"] or "?",
    )


def _useless(pid: int, error: Exception) -> PermanentError:
    gone = isinstance(error, psutil.NoSuchProcess | ValueError)
    return PermanentError(f"process {pid} {'is gone' if gone else 'may not be read by this user'}")
