"""A service, as services.yaml describes it: whose it is, how much customers depend on it, and what it depends on."""

from dataclasses import dataclass

from paramedic.incidents.tier import Tier


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What services.yaml says of one service."""

    owner: str | None = None
    tier: Tier = Tier.STANDARD
    customers: str | None = None  # what customers notice when it is down
    depends_on: tuple[str, ...] = ()  # the services without which it cannot work


#: A service that services.yaml does not list.
UNLISTED = ServiceFacts()
