"""The scheduled flow that looks whether cures have held."""

from tasks.look_again import look_at_what_was_cured
from tasks.note_releases import note_what_runs
from tasks.scheduled import Round, scheduled


@scheduled
def look_again(this: Round) -> str:
    """Look again at what was cured an hour and a day ago, and write onto its incident whether the cure has held.

    Also note which image each container runs, so that a roll-back knows what ran before. Never acts: what fails again is an
    alert's or a check's to say, and a playbook's to mend.
    """
    return look_at_what_was_cured(this) + note_what_runs(this)
