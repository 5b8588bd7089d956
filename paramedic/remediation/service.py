"""A service, as services.yaml describes it: whose it is, and how much customers depend on it."""

from dataclasses import dataclass

from paramedic.incidents.tier import Tier


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What services.yaml says of one service."""

    owner: str | None = None
    tier: Tier = Tier.STANDARD
    customers: str | None = None  # what customers notice when it is down
    depends_on: tuple[str, ...] = ()  # the services that it needs


#: A service that services.yaml does not list.
UNLISTED = ServiceFacts()
