"""The tiers of services, at hand where alerts are received: the gateway's commit path waits for no file."""

from collections.abc import Mapping

from paramedic.alerts.alert import Alert
from paramedic.catalog.services import Services
from paramedic.incidents.tier import Tier


class ServiceTiers:
    """The tier of an alert's service, by the label `service`, else `job`. Learnt in one thread, asked in others."""

    def __init__(self) -> None:
        """Until it has learnt any, every service is a standard one."""
        self._tiers: Mapping[str, Tier] = {}

    def learn(self, services: Services) -> None:
        """From now on by these services."""
        self._tiers = {name: facts.tier for name, facts in services.facts.items() if facts.tier is not Tier.STANDARD}

    def of(self, alert: Alert) -> Tier:
        """The tier of the service that the labels name. Where they name none that is listed, that of a standard one."""
        named = (self._tiers.get(alert.labels.get(label, "")) for label in ("service", "job"))
        return next((tier for tier in named if tier is not None), Tier.STANDARD)
