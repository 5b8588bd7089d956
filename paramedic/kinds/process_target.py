"""Targets that are one process: identity, evidence and resource use, for the kinds of such targets."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.evidence import ByDeadline, Gathered, time_left
from paramedic.kinds.probing import ProcessUse
from paramedic.kinds.transport import Transport
from paramedic.remediation.target import Identity, Target, same_instance

#: Whether the process of this pid is the target's by what does not move with the clock: its parent, its owner's word.
Owned = Callable[[Target, int, Transport], bool]

#: Asks the target's owner for its instance, for so long at most. Raises TemporaryError or PermanentError.
Asked = Callable[[Target, Transport, timedelta], Identity]


def process_identity(
    pid: int | None, started_at: float | None, state: str, *, invocation: str | None = None
) -> Identity:
    """The identity of a process, by pid and start time (seconds since the epoch); without either, of no instance.

    `invocation`: the owner's own name of the instance, which decides over the start time: no setting of a clock moves it.
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
    """Whether another process runs now than before; False where none runs now."""
    return has_process(now) and not same_instance(before.instance, now.instance)


def evidence(identity: Asked, owned: Owned | None = None) -> Mapping[str, ByDeadline]:
    """The kinds of evidence that the process of a target gives; `identity` asks the target's owner for it.

    `owned`: as for `memory_of`.
    """

    def pid_by(target: Target, transport: Transport, deadline: float) -> int:
        return _pid_here(target, identity(target, transport, time_left(deadline)), transport, owned)

    def process_tree(target: Target, transport: Transport, deadline: float) -> Gathered:
        rows = transport.processes.tree(pid_by(target, transport, deadline))
        lines = [f"{'pid':>8} {'parent':>8} {'resident B':>14} {'cpu %':>6}  command"]
        lines += [f"{row.pid:>8} {row.ppid:>8} {row.rss:>14,} {row.cpu_percent:>6.1f}  {row.cmdline}" for row in rows]
        return Gathered("\n".join(lines))

    def memory(target: Target, transport: Transport, deadline: float) -> Gathered:
        pid = pid_by(target, transport, deadline)
        return Gathered(f"process {pid} holds {transport.processes.memory(pid):,} B of resident memory")

    return {"process-tree": ByDeadline(process_tree), "memory": ByDeadline(memory, from_beginning=False)}


def memory_of(target: Target, identity: Identity, transport: Transport, owned: Owned | None = None) -> int:
    """Bytes of memory that the target's process holds now.

    `owned` is asked where the start times of the owner and of the machine disagree, as after the clock was set. Raises
    PermanentError if it is gone or may not be read, or is none of the machine that the transport leads to.
    """
    return transport.processes.memory(_pid_here(target, identity, transport, owned))


def process_id(target: Target, identity: Identity, transport: Transport, owned: Owned | None = None) -> int:
    """The pid of the target's process where the transport leads. `owned`, errors: as `memory_of`."""
    return _pid_here(target, identity, transport, owned)


def use_of(
    target: Target, identity: Identity, transport: Transport, owned: Owned | None = None
) -> tuple[ProcessUse, str]:
    """The resource use of the target's process, and which process that is, in words. `owned`, errors: as `memory_of`."""
    pid = _pid_here(target, identity, transport, owned)
    return transport.processes.use(pid), f"process {pid}"


def _pid_here(target: Target, identity: Identity, transport: Transport, owned: Owned | None) -> int:
    """The pid, if it is the target's where the transport leads: it may be that of another machine's process.

    Equal start times prove it. Different ones do not disprove it: the owner wrote its down when the process began, and the
    machine counts from its boot, which moves when the clock is set.
    """
    pid = _running_pid(identity, target)
    started_at = identity.instance["started_at"]
    if started_at is None or transport.processes.alive(pid, float(started_at)):
        return pid
    why = ""
    try:
        if owned is not None and owned(target, pid, transport):
            return pid
    except (TemporaryError, PermanentError) as error:
        why = f": {error}"
    raise PermanentError(f"process {pid} of {target.id} is none of this machine{why}")


def _running_pid(identity: Identity, target: Target) -> int:
    pid = identity.instance["pid"]
    if pid is None:
        raise PermanentError(f"no process of {target.id} is running: {identity.state}")
    return int(pid)
