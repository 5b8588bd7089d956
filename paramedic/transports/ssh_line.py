"""A connection that another host's sshd makes, as a socket of this machine: whatever speaks by a socket asks from there."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import paramiko

from paramedic.errors import TemporaryError
from paramedic.machine.clock import boottime
from paramedic.remediation.host import Host
from paramedic.transports.ssh_connection import connection
from paramedic.transports.ssh_paramiko import close_quietly

_PART = 65_536

#: So long a host has to show that it still answers, at most: less than after which a new connection is tried. Seconds.
_STILL_SECONDS = 4.0


@contextmanager
def line(viewer: Host, to: tuple[str, int], deadline: float) -> Iterator[socket.socket]:
    """A connection from the host to this address, which is opened by `deadline` and closed when the block ends.

    Raises OSError by what its sshd met, TimeoutError where there is no answer, TemporaryError or PermanentError where the host is
    not reached, is lost meanwhile, or makes no connections for us.
    """
    channel = connection(viewer).port(to, deadline)
    near, far = socket.socketpair()
    carrier = threading.Thread(target=_carry, args=(channel, far), name=f"line from {viewer.name}", daemon=True)
    try:
        carrier.start()
        yield near
        if not channel.get_transport().is_active():
            raise TemporaryError(f"{viewer.name} was lost meanwhile")
    finally:
        near.close()
        close_quietly(channel)  # what is left to be carried has nobody to read it


def must_answer(viewer: Host, deadline: float) -> None:
    """Raise TemporaryError or PermanentError unless the host opens a session by `deadline`; nothing is run in it."""
    with connection(viewer).session(min(deadline, boottime() + _STILL_SECONDS)):
        pass


def _carry(channel: paramiko.Channel, far: socket.socket) -> None:
    """Carry bytes both ways until the channel has ended, or nobody reads them here."""
    with far, suppress(OSError, EOFError, paramiko.SSHException):
        poll, theirs, ours = select.poll(), channel.fileno(), far.fileno()
        for each in (theirs, ours):
            poll.register(each, select.POLLIN)
        while True:
            ready = {number for number, _ in poll.poll()}
            if ours in ready:
                if not (data := far.recv(_PART)):
                    return
                channel.sendall(data)
            if theirs in ready:
                if not (data := channel.recv(_PART)):
                    return
                far.sendall(data)
