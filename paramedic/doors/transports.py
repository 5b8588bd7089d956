"""Chooses the transport to a target's machine."""

from paramedic.kinds.transport import Transport
from paramedic.remediation.target import Target


def transport(_target: Target) -> Transport:
    """The transport to the target's machine, by its entry in services.yaml; today always this machine."""
    from paramedic.transports.local import Local  # psutil takes a while to import, and only a look or a change pays

    return Local()
