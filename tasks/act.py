"""Do it: the only module that may change production."""

from paramedic.doors.changing import changer
from paramedic.remedy import Remedy, Verb
from paramedic.target import Identity
from tasks.kinds import Change, Intent, changes


@changes
def restart(intent: Intent) -> Identity:
    """Stop the target and start it again, as one request."""
    return changer(intent.target, intent.within).restart(intent.identity, intent.last_look)


_STEPS: dict[Verb, Change] = {Verb.RESTART: restart}


def apply(remedy: Remedy, target: str) -> None:
    """Carry out one rung of the ladder. Raises as every change does (`tasks.kinds.changes`)."""
    _STEPS[remedy.verb](target, remedy)
