"""The scheduled flow that goes on telling people."""

from tasks.escalate import tell_what_is_due
from tasks.scheduled import Round, scheduled


@scheduled
def escalate(this: Round) -> str:
    """Climb the rungs that are due and end the acknowledgements that have lasted, beside the watchdog.

    Never acts on a target. One message a rung: whoever comes first has it.
    """
    return tell_what_is_due(this)
