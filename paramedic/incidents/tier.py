"""The tier of a service: how much customers depend on it; with the severity it says which trouble is the more urgent."""

from enum import StrEnum

from paramedic.alerts.alert import Severity


class Tier(StrEnum):
    """How much customers depend on a service."""

    CORE = "core"
    STANDARD = "standard"
    LOW = "low"


#: How many levels of urgency there are.
URGENCIES = len(Severity) * len(Tier)


def urgency(severity: Severity, tier: Tier) -> int:
    """The rank of what is wrong, 0 for the most urgent: every critical one before any warning, within each by tier.

    The severity comes first: a warning wakes nobody, whichever service it is of, and a service that is down does not wait
    for it.
    """
    return (severity is not Severity.CRITICAL) * len(Tier) + list(Tier).index(tier)
