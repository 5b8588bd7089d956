"""The door to other machines' clocks: how far is the one that dates a target's releases from ours?"""

from datetime import timedelta

from paramedic.doors import reading
from paramedic.doors.transports import transport
from paramedic.errors import PermanentError
from paramedic.machine.clock import boottime, utc_now
from paramedic.machine.clock_distance import ClockDistance
from paramedic.machine.open_transaction import must_be_closed
from paramedic.remediation.target import Target


def clock_distance(target: Target, within: timedelta) -> ClockDistance | None:
    """Measured once, now, `within` that time; None where the clock of Paramedic's own machine dates its releases.

    Raises TemporaryError or PermanentError where it cannot be had.
    """
    must_be_closed("a clock is read")
    kind, machine, deadline = reading.kind_of(target), target.machine, boottime() + within.total_seconds()
    look = getattr(kind, "owner_clock", None)
    began, asked_at = boottime(), utc_now()
    if look is not None and (theirs := look(target, transport(target))) is not None:
        return ClockDistance.of(theirs, asked_at, timedelta(seconds=boottime() - began), whole_seconds=True)
    if machine is not None and machine.kubernetes is not None:
        from paramedic.transports import kubernetes_look  # httpx: only who has a cluster loads it

        return kubernetes_look.clock_distance(machine, deadline)
    if _is_dated_elsewhere(target):
        raise PermanentError(
            f"targets of the kind {target.kind} do not tell the clock of their owner, which is on another machine"
        )
    if machine is not None and machine.ssh is not None:
        from paramedic.transports import ssh_look  # paramiko: only who has such a host loads it

        return ssh_look.clock_distance(machine, deadline)
    return None


def _is_dated_elsewhere(target: Target) -> bool:
    """Whether its owner keeps its releases, on another machine than its host, and its kind tells nothing of the clock there."""
    kind = reading.kind_of(target)
    is_remote = getattr(kind, "is_remote", None)
    if is_remote is None or hasattr(kind, "owner_clock") or not reading.keeps_releases(target):
        return False
    return bool(is_remote(target.words))
