"""Which transport leads to a target's machine: the one place that decides it."""

from paramedic.kinds.transport import Transport
from paramedic.remediation.target import Target


def transport(_target: Target) -> Transport:
    """The way to the target's machine. What services.yaml says of the target decides; this machine is all that it can say."""
    from paramedic.transports.local import Local  # psutil takes a while to import, and only a look or a change pays

    return Local()
