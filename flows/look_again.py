"""The scheduled flow that looks whether cures have held."""

from tasks.look_again import look_at_what_was_cured
from tasks.scheduled import Round, scheduled


@scheduled
def look_again(this: Round) -> str:
    """Look again at what was cured an hour and a day ago, and write onto its incident whether the cure has held.

    Never acts: what fails again is an alert's or a check's to say, and a playbook's to mend.
    """
    return look_at_what_was_cured(this)
