"""One look at the target, by every condition that its runbook names."""

from paramedic.doors import reading
from paramedic.error import TryAgain, Useless
from paramedic.health import Health, Sight
from tasks.work import Work


def measure(work: Work) -> Health:
    """Well only if all conditions were seen to hold; unknown if the one who should know does not answer."""
    verify = work.runbook.verify
    try:
        identity = reading.reader(work.target).identity()
    except (TryAgain, Useless) as error:
        return Health(Sight.UNKNOWN, f"its {work.target.kind} does not say how it is: {error}")
    if identity.pid is None or not identity.running:
        return Health(Sight.FAILING, f"its {work.target.kind} says {identity.state}")
    if verify.memory_below is not None:
        try:
            resident = reading.resident_memory(identity.pid)
        except (TryAgain, Useless) as error:
            return Health(Sight.UNKNOWN, f"its memory cannot be read: {error}")
        if resident >= verify.memory_below:
            return Health(Sight.FAILING, f"resident memory {resident:,} B, and the limit is {verify.memory_below:,} B")
    if verify.health:
        if work.target.health is None:
            return Health(Sight.UNKNOWN, "services.yaml names no health address for it")
        probe = reading.probe(work.target.health, work.settings.probe_timeout)
        if not probe.ok:
            return Health(Sight.FAILING, f"its health address: {probe.why}")
    return Health(Sight.WELL, "every condition holds")
