"""What need not be kept any longer?"""

from paramedic.store import silences
from paramedic.upkeep.retention import prune
from tasks.scheduled import Round


def remove_what_is_old(this: Round) -> str:
    """Remove what is old; returns the counts in words. Raises StoreUnavailable; a refusal by Prefect is only reported."""
    with this.store.record() as tx:
        idle = silences.report_idle(tx)
    gone = prune(this.store, this.settings)
    words = [f"{count} of {name}" for name, count in gone.removed.items() if count]
    if gone.sealable:
        words.append(f"{gone.sealable} entries of the trail wait for `paramedic audit seal`")
    if gone.complaint:
        words.append(gone.complaint)
    if idle:
        words.append(f"{idle} silences match nothing, which is reported")
    return "; ".join(words) or "nothing is old enough"
