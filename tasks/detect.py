"""Is it still broken?"""

import time
from datetime import timedelta

from paramedic.change import reach
from paramedic.change.look import measure
from paramedic.change.run import PlaybookRun
from paramedic.change.seen_log import SeenLog
from paramedic.errors import CannotSee, HostNotReached
from paramedic.incidents.incident import Incident
from paramedic.machine.clock import boottime, spoken
from paramedic.remediation.health import Health, Sight
from paramedic.remediation.reach import Reach
from paramedic.store import acts
from tasks.answers import Answer, yes_or_no
from tasks.current_run import current_run
from tasks.kinds import reads

#: How long, and how often, a target that cannot be seen is looked at again before a person gets it.
_PATIENCE = timedelta(seconds=15)
_LOOK_AGAIN_SECONDS = 1.0

#: So many looks by a second way there have to be, all of them well: one that does not reach a host takes 5 s.
_SECOND_LOOKS = 2


@reads(
    retries=2,
    timeout=timedelta(minutes=2),
    naming=yes_or_no(Answer("StillFailing"), Answer("NotFailing")),
)
def still_failing(incident: Incident) -> bool:
    """Whether any condition of the runbook is seen broken now, by a fresh look at the target.

    While nothing can be seen it looks again for 15 s; then it raises CannotSee, which hands the incident over. Where the
    target's host is not reached, other hosts are asked for their view, and HostNotReached is raised; but for a target that
    nothing was done to and that answered well by itself at every look: that one is not failing.
    """
    run = current_run()
    seen = SeenLog(run.say)
    ends_at = boottime() + _PATIENCE.total_seconds()
    seconds: list[Sight | None] = []  # what a second way has shown, look by look
    while (health := _looked(run, seen)).sight is Sight.UNKNOWN:
        seconds.append(health.second)
        if boottime() >= ends_at:
            if health.second is not None and _well_by_itself(run, health, seconds):
                break
            raise CannotSee(_words(incident, health))
        run.go_on()
        time.sleep(_LOOK_AGAIN_SECONDS)
    run.waited = False
    return health.sight is Sight.FAILING


def _looked(run: PlaybookRun, seen: SeenLog) -> Health:
    health = measure(run)
    seen.see(health)
    return health


def _words(incident: Incident, health: Health) -> str:
    target, patience = incident.target, spoken(_PATIENCE)
    if health.second is Sight.FAILING:
        return f"{target} is seen failing, and for {patience} its host was not reached: nothing was done there: {health.why}"
    return f"for {patience} we could not see whether {target} is well, and nothing was done: {health.why}"


def _well_by_itself(run: PlaybookRun, health: Health, seconds: list[Sight | None]) -> bool:
    """Whether a target whose host is not reached was seen well all the time. Raises HostNotReached where it was not.

    Never after a change: what became of that only the target's owner says. Nor where other hosts see nothing of it either.
    """
    verdict = reach.look_around(run, health)
    with run.store.read() as tx:
        touched = bool(acts.since_begun(tx, run.incident))
    well = len(seconds) >= _SECOND_LOOKS and all(second is Sight.WELL for second in seconds)
    if not well or touched or verdict.reach is Reach.DOWN:
        raise HostNotReached(f"{_words(run.incident, health)}. {verdict.words[0].upper()}{verdict.words[1:]}")
    run.seen_by = f", by a second way: for {spoken(_PATIENCE)} {health.why}; {verdict.words}"
    return True
