"""The scheduled flow for retention."""

from tasks.prune import remove_what_is_old
from tasks.scheduled import Round, scheduled


@scheduled
def prune(this: Round) -> str:
    """Remove what is older than its `keep_*` setting, in small batches; an open incident's data stays.

    The counts are on the trail. Its own old entries leave only by `paramedic audit seal`.
    """
    return remove_what_is_old(this)
