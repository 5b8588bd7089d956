"""What a machine sees of a host: whether it gets a TCP connection to it. Elsewhere its sshd tries, without a program there."""

import os
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.clock import boottime
from paramedic.remediation.host import Host
from paramedic.remediation.reach import NO_ANSWER, View, answers, together
from paramedic.text.sanitize import one_line
from paramedic.transports.ssh_connection import SshConnection

#: An address and its port.
Address = tuple[str, int]


def view(viewer: Host, to: Sequence[Address], deadline: float) -> View:
    """Whether `viewer` gets an answer at one of the addresses by `deadline`; a refused connection is one. Never raises.

    It is asked by a connection of its own, which is closed then: what hangs there keeps nothing else waiting.
    """
    one = SshConnection(viewer)
    try:
        one.login(deadline - (deadline - boottime()) / 2)
        return _seen(viewer.name, to, lambda address: one.reaches(address, deadline))
    except (TemporaryError, PermanentError, OSError) as error:
        return View(viewer.name, None, f"could not be asked: {one_line(str(error))}")
    finally:
        one.close()


def from_here(to: Sequence[Address], deadline: float) -> View:
    """The same, as this machine sees it."""

    def tried(address: Address) -> str | None:
        try:
            socket.create_connection(address, max(deadline - boottime(), 0.01)).close()
        except TimeoutError:
            return NO_ANSWER
        except OSError as error:
            return os.strerror(error.errno) if error.errno and error.errno > 0 else one_line(str(error))
        return None

    return _seen("here", to, tried)


def _seen(viewer: str, to: Sequence[Address], tried: Callable[[Address], str | None]) -> View:
    with ThreadPoolExecutor(max(len(to), 1)) as tries:
        errors = list(tries.map(tried, to))
    shown = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in to]
    words = [
        f"{at} {f'does not connect: {error}' if error else 'connects'}" for at, error in zip(shown, errors, strict=True)
    ]
    return View(viewer, together([error is None or answers(error) for error in errors]), "; ".join(words))
