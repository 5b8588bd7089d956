"""Chooses the transport to a target's machine, and opens connections from another host."""

import socket
from contextlib import AbstractContextManager

from paramedic.kinds.transport import Transport
from paramedic.machine.open_transaction import must_be_closed
from paramedic.remediation.host import Host
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


def line(viewer: Host, to: tuple[str, int], deadline: float) -> AbstractContextManager[socket.socket]:
    """A connection from another host to this address; see `paramedic.transports.ssh_line`."""
    must_be_closed("a host is asked for its view")
    from paramedic.transports import ssh_line  # paramiko: likewise

    return ssh_line.line(viewer, to, deadline)


def must_answer(viewer: Host, deadline: float) -> None:
    """Raise TemporaryError or PermanentError unless the host answers by `deadline`."""
    must_be_closed("a host is asked for its view")
    from paramedic.transports import ssh_line  # paramiko: likewise

    ssh_line.must_answer(viewer, deadline)
