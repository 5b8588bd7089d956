"""One TCP connection that asks whether anybody listens."""

import socket
import time
from dataclasses import dataclass
from datetime import timedelta

from paramedic.clock import spoken
from paramedic.error import Useless
from paramedic.visible import one_line


@dataclass(frozen=True, slots=True)
class Connection:
    """What one try saw: accepted or not, how long it took, and why in words."""

    ok: bool
    took_ms: float
    why: str


def connect(host: str, port: int, timeout: timedelta) -> Connection:
    """Try once; the connection is closed at once, and nothing is sent. No answer is an answer too, never an exception.

    Raises Useless on an address that cannot be asked. A name is looked up for as long as the machine's resolver takes.
    """
    begun = time.perf_counter()

    def seen(why: str, *, ok: bool = False) -> Connection:
        return Connection(ok, (time.perf_counter() - begun) * 1000, why)

    try:
        socket.create_connection((host, port), timeout.total_seconds()).close()
    except TimeoutError:
        return seen(f"no connection within {spoken(timeout)}")
    except OSError as error:
        return seen(f"could not connect: {one_line(str(error))}")
    except (UnicodeError, OverflowError, ValueError) as error:
        raise Useless(f"this address cannot be asked: {one_line(str(error))}") from error
    return seen("connected", ok=True)
