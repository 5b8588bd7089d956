"""Is the target well? There are three answers, and "we cannot see" is one of them."""

from dataclasses import dataclass
from enum import StrEnum


class Sight(StrEnum):
    """What a look at the target showed."""

    WELL = "well"
    FAILING = "failing"
    UNKNOWN = "unknown"  # the look itself failed: neither well nor broken


@dataclass(frozen=True, slots=True)
class Health:
    """One look, and what it saw in words."""

    sight: Sight
    why: str
