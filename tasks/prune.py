"""What need not be kept any longer?"""

from paramedic.upkeep.retention import prune
from tasks.scheduled import Round


def remove_what_is_old(this: Round) -> str:
    """Remove what is old; returns the counts in words. Raises StoreUnavailable; a refusal by Prefect is only reported."""
    gone = prune(this.store, this.settings)
    words = [f"{count} of {name}" for name, count in gone.removed.items() if count]
    if gone.sealable:
        words.append(f"{gone.sealable} entries of the trail wait for `paramedic audit seal`")
    if gone.complaint:
        words.append(gone.complaint)
    return "; ".join(words) or "nothing is old enough"
