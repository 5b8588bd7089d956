"""Chooses the transport to a target's machine."""

from paramedic.kinds.transport import Transport
from paramedic.remediation.target import Target


def transport(target: Target, act: str | None = None) -> Transport:
    """The transport to the target's machine, by its entry in services.yaml. `act`: the id of the change that is made by it."""
    machine = target.machine
    if machine is not None and machine.ssh is not None:
        from paramedic.transports.ssh import Ssh  # paramiko: only who has such a host loads it

        return Ssh(machine, act=act, lock=target.id)
    if machine is not None and machine.kubernetes is not None:
        from paramedic.transports.kubernetes import Kubernetes  # httpx: likewise

        return Kubernetes(machine)
    from paramedic.transports.local import Local  # psutil takes a while to import, and only a look or a change pays

    return Local()
