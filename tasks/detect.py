"""Is it still broken?"""

import time
from datetime import timedelta

from paramedic.change.look import measure
from paramedic.change.run import PlaybookRun
from paramedic.change.seen_log import SeenLog
from paramedic.errors import CannotSee
from paramedic.incidents.incident import Incident
from paramedic.machine.clock import boottime, spoken
from paramedic.remediation.health import Health, Sight
from tasks.answers import Answer, yes_or_no
from tasks.current_run import current_run
from tasks.kinds import reads

#: How long, and how often, a target that cannot be seen is looked at again before a person gets it.
_PATIENCE = timedelta(seconds=15)
_LOOK_AGAIN_SECONDS = 1.0


@reads(
    retries=2,
    timeout=timedelta(minutes=2),
    naming=yes_or_no(Answer("StillFailing"), Answer("NotFailing")),
)
def still_failing(incident: Incident) -> bool:
    """Whether any condition of the runbook is seen broken now, by a fresh look at the target.

    While nothing can be seen it looks again for 15 s; then it raises CannotSee, which hands the incident over.
    """
    run = current_run()
    seen = SeenLog(run.say)
    ends_at = boottime() + _PATIENCE.total_seconds()
    while (health := _looked(run, seen)).sight is Sight.UNKNOWN:
        if boottime() >= ends_at:
            raise CannotSee(
                f"for {spoken(_PATIENCE)} we could not see whether {incident.target} is well, and nothing was done: {health.why}"
            )
        run.go_on()
        time.sleep(_LOOK_AGAIN_SECONDS)
    run.waited = False
    return health.sight is Sight.FAILING


def _looked(run: PlaybookRun, seen: SeenLog) -> Health:
    health = measure(run)
    seen.see(health)
    return health
