"""The scheduled flow that samples the checks."""

from tasks.check import checks_of, measure_until_the_next_round
from tasks.scheduled import Round, scheduled


@scheduled
def health_check(this: Round) -> str:
    """Measure each check of the group as often as its runbook says, until the next round takes over.

    Never acts: a breach becomes an alert in the inbox, handled like every other; a check that cannot measure is unknown.
    """
    placed = checks_of(this)
    this.name_run("1 check" if len(placed) == 1 else f"{len(placed)} checks")
    if not placed:
        return f"no runbook of the group {this.group} has a check with a listed target"
    return measure_until_the_next_round(this, placed)
