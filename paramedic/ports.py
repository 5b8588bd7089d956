"""The ports that `paramedic up` listens on: those that its settings name, or none."""

import contextlib
import errno
import os
import socket

import psutil

from paramedic.error import Useless


class PortTaken(Useless):
    """The port cannot be had; the message says for whom, who has it where that can be seen, and which setting names it."""


def demand(host: str, port: int, *, who: str, setting: str) -> int:
    """The port, which is free now; where it is 0, any that is free. Raises PortTaken.

    Never another than the one that was asked for: senders, links and operators go by it, and would meet a stranger.
    """
    try:
        return _bound(host, port)
    except socket.gaierror as error:
        raise PortTaken(
            f"{host!r} is no address of this machine ({error.strerror}); choose another: PARAMEDIC_HOST"
        ) from error
    except OSError as error:
        holder = holding(port) if error.errno == errno.EADDRINUSE else None
        taken = f", {holder} has it" if holder else ""
        raise PortTaken(
            f"{who} cannot have port {port} on {host} ({error.strerror}{taken}); nothing was started. End what has it, or "
            f"choose another port: {setting}"
        ) from error


def available(host: str, port: int) -> int:
    """The port where it is free, else any other that is: for a demo, to which nobody sends."""
    try:
        return _bound(host, port)
    except OSError:
        return _bound(host, 0)


def holding(port: int) -> str | None:
    """Who listens on the port, in words; None where the system does not say."""
    with contextlib.suppress(psutil.Error, OSError):
        for one in psutil.net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr[1] == port and one.pid is not None:
                process = psutil.Process(one.pid)
                whose = "" if process.uids().real == os.getuid() else f" of {process.username()}"
                return f"{process.name()} (process {one.pid}{whose})"
    return None


def _bound(host: str, port: int) -> int:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address[0], port))
        found: int = listener.getsockname()[1]
        return found
