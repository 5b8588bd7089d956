"""What a machine that has some of the roles needs of the others: one store, one Prefect, and the gateway's address."""

from collections.abc import Collection

from paramedic.errors import PermanentError
from paramedic.settings import Settings
from paramedic.store.running_processes import ROLES


def checked(only: Collection[str], settings: Settings) -> frozenset[str]:
    """The roles, if they can work without the rest on this machine. Raises PermanentError with each thing that is missing."""
    unknown = sorted(set(only) - set(ROLES))
    if unknown or not only:
        raise PermanentError(f"--only {','.join(unknown) or 'nothing'}: no role; there are {', '.join(ROLES)}")
    if set(only) == set(ROLES):
        return frozenset(ROLES)
    missing = []
    if settings.prefect_api_url is None:
        missing.append("PARAMEDIC_PREFECT_API_URL: the Prefect that all machines share")
    if settings.store_url is None:
        missing.append("PARAMEDIC_STORE_URL: the PostgreSQL that all machines share")
    if settings.link_key_file is None:
        missing.append("PARAMEDIC_LINK_KEY_FILE: the key of links in messages, the same for all machines")
    if "gateway" in only and not (settings.gateway_tokens or settings.gateway_users):
        missing.append("PARAMEDIC_GATEWAY_TOKENS: the senders that every gateway knows")
    if "watchdog" in only and "gateway" not in only and settings.gateway_url is None:
        missing.append("PARAMEDIC_GATEWAY_URL: where the watchdog asks whether the gateways answer")
    if missing:
        raise PermanentError("\n".join(f"--only {','.join(sorted(only))} needs {what}" for what in missing))
    return frozenset(only)
