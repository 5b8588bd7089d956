"""The scheduled flow that continues escalations."""

from tasks.escalate import tell_what_is_due
from tasks.scheduled import Round, scheduled


@scheduled
def escalate(this: Round) -> str:
    """Send the pages that are due and end the acknowledgements that have lasted, beside the watchdog.

    Never acts on a target. Each page is sent once, by whichever of the two comes first.
    """
    return tell_what_is_due(this)
