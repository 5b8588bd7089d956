"""Health of a target: well, failing, or unknown because it cannot be seen."""

from dataclasses import dataclass
from enum import StrEnum


class Sight(StrEnum):
    """The three results of a look at the target."""

    WELL = "well"
    FAILING = "failing"
    UNKNOWN = "unknown"  # the look itself failed: neither well nor broken


@dataclass(frozen=True, slots=True)
class Health:
    """The result of one look, and its reason in words."""

    sight: Sight
    why: str
    #: What a second way shows while the target's host is not reached; None: it is. It begins no change and proves no cure.
    second: Sight | None = None
