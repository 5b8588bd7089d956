"""The ports that `paramedic up` reserves beside its gateway's: Prefect's, and those of the metrics."""

import os
from collections.abc import Collection

from paramedic.errors import PermanentError
from paramedic.machine import ports
from paramedic.serving.metrics_ports import METRICS_PORTS
from paramedic.settings import Settings

#: Where Prefect's own server listens unless somebody says otherwise.
_PREFECT_PORT = 4200


def prefect() -> ports.Held:
    """The Prefect server's port, from Prefect's own variable. Raises PermanentError, PortTaken."""
    setting = "PREFECT_SERVER_API_PORT"
    value = os.environ.get(setting)
    if value and not (value.isascii() and value.isdigit() and int(value) <= 65535):
        raise PermanentError(f"{setting}, in the environment: {value!r:.40} is not a port; write a number up to 65535")
    return ports.demand("127.0.0.1", int(value or _PREFECT_PORT), who="the Prefect server", setting=setting)


def metrics(settings: Settings, roles: Collection[str]) -> list[ports.Held]:
    """The ports of /metrics, where there are to be any: Prometheus shows its token to whoever listens there. Raises PortTaken."""
    if settings.metrics_port is None:
        return []
    return [
        ports.demand(
            settings.host, settings.metrics_port + after, who=f"the {role}'s /metrics", setting="PARAMEDIC_METRICS_PORT"
        )
        for role, after in METRICS_PORTS.items()
        if role in roles
    ]
