"""The order of incidents by how urgent they are, for queries."""

from sqlalchemy import case

from paramedic.alerts.alert import Severity
from paramedic.incidents.tier import Tier
from paramedic.store.tables import incidents, messages

#: A row of an older version has no tier.
_STANDARD = list(Tier).index(Tier.STANDARD)

_RANKS = {tier.value: number for number, tier in enumerate(Tier)}

#: The severity first, then the tier of the service, as `paramedic.incidents.tier.urgency` has it.
BY_URGENCY = (incidents.c.severity != Severity.CRITICAL, case(_RANKS, value=incidents.c.tier, else_=_STANDARD))

#: Messages about incidents, by the tier of the service.
MESSAGES_BY_TIER = case(_RANKS, value=messages.c.tier, else_=_STANDARD)
