"""A later look at what a remedy has cured: is the target still well, and does what was verified then still run?"""

import time

from paramedic.change.look import measure
from paramedic.change.run import PlaybookRun
from paramedic.doors import reading
from paramedic.errors import PermanentError, TemporaryError
from paramedic.remediation.cure import CureLook, Seen, judge
from paramedic.remediation.health import Health, Sight
from paramedic.remediation.target import Identity
from paramedic.store import cure_looks

#: So many samples are taken, so long apart; the last one decides, by all of them where a metric is of a window.
_SAMPLES, _APART_SECONDS = 3, 1.0


def instance(run: PlaybookRun) -> Identity | None:
    """The instance that runs now; None where the target does not say."""
    try:
        return reading.identity(run.target)
    except (TemporaryError, PermanentError):
        return None


def take(run: PlaybookRun, look: CureLook) -> CureLook | None:
    """Take the look and write its verdict; None where nothing was seen, and it is taken again later.

    `run` is none of a playbook: it has the incident, its runbook and its target, and holds no claim. Raises StoreUnavailable.
    """
    health = _health(run)
    identity = instance(run)
    with run.store.record() as tx:
        seen = Seen(health, identity, cure_looks.came_back(tx, look))
        verdict, why = judge(look, seen, tx.now)
        if verdict is None:
            cure_looks.saw_nothing(tx, look)
            return None
        return cure_looks.judge(tx, look, verdict, why, actor=run.holder)


def _health(run: PlaybookRun) -> Health:
    run.forget_samples()
    health = Health(Sight.UNKNOWN, "it was not looked at")
    for number in range(_SAMPLES):
        if number:
            time.sleep(_APART_SECONDS)
        health = measure(run)
    return health
