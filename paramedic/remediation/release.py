"""A release: one version of a service in its release folder."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Release:
    """One release, by the log of its folder."""

    id: str
    deployed_at: datetime | None  # when it last became the current one; None: the log does not tell
    reversible: bool | None  # whether one may go back from it to the release before; None: nobody said
    healthy: bool | None  # whether it was seen to work, or to be bad; None: nobody said
    rolled_back_to: bool = False  # it became the current one by a roll-back
