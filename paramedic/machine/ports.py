"""The ports that `paramedic up` listens on: those that its settings name, or none."""

import contextlib
import errno
import os
import socket
import sys
from typing import Any

import psutil

from paramedic.errors import PermanentError
from paramedic.machine import parent_death


class PortTaken(PermanentError):
    """The port is not available; the message says what needs it, what holds it where that can be seen, and its setting."""


class Held:
    """A reserved port: while none of our processes listens on it, no other user of the machine can.

    Senders and our own processes show their token or login to whoever listens there. A socket that is bound and does not
    listen keeps the port; one of the same user with SO_REUSEPORT is let in (man 7 socket). Linux alone keeps users apart so.
    """

    def __init__(self, port: int, keepers: list[socket.socket]) -> None:
        self.port = port
        self._keepers = keepers

    def release(self) -> None:
        """Release the reservation."""
        for keeper in self._keepers:
            keeper.close()


def demand(host: str, port: int, *, who: str, setting: str) -> Held:
    """Reserve the port, which must be free; for 0, any free one. Raises PortTaken.

    Never a port other than the requested one: senders, links and operators use it, and would reach another program.
    """
    try:
        found = _bound(host, port)
        return Held(found, _keepers(host, found))
    except socket.gaierror as error:
        raise PortTaken(
            f"{host!r} is not an address of this machine ({error.strerror}); choose another: PARAMEDIC_HOST"
        ) from error
    except OSError as error:
        holder = holding(port) if error.errno == errno.EADDRINUSE else None
        holder_words = f", {holder} has it" if holder else ""
        raise PortTaken(
            f"{who} cannot have port {port} on {host} ({error.strerror}{holder_words}); nothing was started. End what has it, or "
            f"choose another port: {setting}"
        ) from error


def available(host: str, port: int) -> int:
    """The port if it is free, else any free one: for a demo, which needs no fixed one."""
    try:
        return _bound(host, port)
    except OSError:
        return _bound(host, 0)


def holding(port: int) -> str | None:
    """What listens on the port, in words; None where the system does not say."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr
                and connection.laddr[1] == port
                and connection.pid is not None
            ):
                process = psutil.Process(connection.pid)
                whose = "" if process.uids().real == os.getuid() else f" of {process.username()}"
                return f"{process.name()} (process {connection.pid}{whose})"
    return None


def listening_sockets(host: str, port: int) -> list[socket.socket]:
    """The sockets that a server listens on: the port at each address of the host. Under `up`, beside its reservation.

    Raises OSError where they cannot be bound.
    """
    reserved = parent_death.VARIABLE in os.environ and sys.platform == "linux"
    return [
        _socket(family, address, reuse_address=True, reuse_port=reserved) for family, address in _addresses(host, port)
    ]


def _bound(host: str, port: int) -> int:
    family, address = _addresses(host, port)[0]
    with _socket(family, address, reuse_address=True, reuse_port=False) as listener:
        found: int = listener.getsockname()[1]
        return found


def _keepers(host: str, port: int) -> list[socket.socket]:
    if sys.platform != "linux":
        return []
    sockets = []
    for family, address in _addresses(host, port):
        try:
            sockets.append(_socket(family, address, reuse_address=False, reuse_port=True))
        except OSError:  # connections of another server's end there still: nobody is kept out, for a minute at most
            sockets.append(_socket(family, address, reuse_address=True, reuse_port=True))
    return sockets


def _addresses(host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
    """Each address of the host, with its family; the first one where a single one is asked for."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _socket(family: int, address: tuple[Any, ...], *, reuse_address: bool, reuse_port: bool) -> socket.socket:
    # TCP is named explicitly, else asyncio leaves Nagle's algorithm on: an answer in two writes would take 40 ms more.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse_address)
        if reuse_port:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, True)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, True)
        made.bind(address)
    except BaseException:
        made.close()
        raise
    return made
