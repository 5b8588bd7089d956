"""The services that a change touches: which targets it takes away of each, which others there are, and what each asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from paramedic.remediation.dependency import Needed
from paramedic.remediation.guardrail import AtOnce
from paramedic.remediation.quorum import Quorum


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """What a runbook asks of the changes to targets of its service, whoever makes them."""

    runbook: str
    keep_healthy: Quorum | None = None
    at_once: AtOnce | None = None

    @property
    def counts_healthy(self) -> bool:
        """Whether the service's other targets must be looked at before the change."""
        return self.keep_healthy is not None or (self.at_once is not None and self.at_once.counts_healthy)


@dataclass(frozen=True, slots=True)
class Touched:
    """A service of which a change takes targets away: the changed target itself, or parts of it."""

    service: str
    taken: tuple[str, ...]
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)  # each with what overlaps with it
    has_parts: bool = False  # whether parts of the changed target are among the taken
    limits: tuple[ServiceLimits, ...] = ()  # where it has parts: what the service's runbooks ask
    unknown: str | None = None  # why nobody can say what those ask
    needs: tuple[Needed, ...] = ()  # of the changed target's service: what that depends on

    @property
    def members(self) -> int:
        """How many targets the service has."""
        return len(self.taken) + len(self.others)
