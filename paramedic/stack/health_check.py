"""`python -Pm paramedic.stack.health_check`: whether the `paramedic up` of this data folder is well, for containers.

Ends with 0 where it runs and each of its processes that serves /healthz says so, else with 1 and the reason in words.
"""

import sys
from collections.abc import Collection

import httpx

from paramedic.serving.metrics_ports import METRICS_PORTS
from paramedic.settings import Settings, load_settings, web_address
from paramedic.stack import instance
from paramedic.transports import http_deadline

#: Each process has so long to answer.
_SECONDS = 3.0


def addresses(settings: Settings, gateway: str, roles: Collection[str]) -> tuple[str, ...]:
    """Where the processes of these roles say that they are well: the gateway always, the others where they have a port."""
    found = [f"{gateway}/healthz"] if "gateway" in roles else []
    if settings.metrics_port is not None:
        ports = [settings.metrics_port + after for role, after in METRICS_PORTS.items() if role in roles]
        found += [f"{web_address(settings.host, port)}/healthz" for port in ports]
    return tuple(found)


def complaint(settings: Settings) -> str | None:
    """What is wrong, in words; None: it is well."""
    here = instance.running(settings.data)
    if here is None:
        return f"no `paramedic up` works in {settings.data}"
    with http_deadline.client(seconds=_SECONDS) as http:
        for address in here.health:
            try:
                answer = http.get(address)
            except httpx.HTTPError as error:
                return f"{address} does not answer: {type(error).__name__}"
            if not answer.is_success:
                return f"{address}: HTTP {answer.status_code}: {answer.text.strip()[:100]}"
    return None


def main() -> None:
    """Say it, and end with it."""
    found = complaint(load_settings())
    if found is not None:
        sys.exit(found)


if __name__ == "__main__":
    main()
