"""Do it: the only module that may change production."""

from paramedic.doors.changing import changer
from paramedic.target import Identity
from tasks.kinds import Intent, changes


@changes
def restart(intent: Intent) -> Identity:
    """Stop the target and start it again, as one request."""
    return changer(intent.target, intent.within).restart(intent.identity, intent.last_look)
