"""Is it still broken?"""

from datetime import timedelta

from paramedic.error import TryAgain
from paramedic.health import Sight
from paramedic.incident import Incident
from tasks.kinds import reads
from tasks.measure import measure
from tasks.work import at_hand


@reads(retries=2, timeout=timedelta(seconds=30))
def still_failing(incident: Incident) -> bool:
    """Whether any condition of the runbook is seen broken now. Raises TryAgain while nothing can be seen at all."""
    work = at_hand()
    health = measure(work)
    if health.sight is Sight.UNKNOWN:
        raise TryAgain(f"we cannot see whether {incident.target} is broken: {health.why}")
    work.waited = False
    return health.sight is Sight.FAILING
