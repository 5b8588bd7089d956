"""A TCP address: whether a connection is accepted."""

import socket
import time
from dataclasses import dataclass
from datetime import timedelta

from paramedic.errors import PermanentError
from paramedic.kinds.metric import EXCHANGE
from paramedic.kinds.place import FROM
from paramedic.kinds.probing import Line, Question, Seen, Written, measured
from paramedic.machine.clock import spoken
from paramedic.remediation import probe_answer
from paramedic.remediation.health import Sight
from paramedic.text.address import host_and_port
from paramedic.text.sanitize import one_line

CHECK = ("tcp://HOST:PORT",)
ABOUT = "one connection: one that is not accepted is an error"
METRICS = EXCHANGE
OPTIONS = (FROM,)


def subject(written: Written) -> str:
    """The address itself. Raises ValueError where it has no host or no port."""
    host_and_port(written.check.replace("{host}", "host"))
    return written.check


def look(question: Question) -> Seen:
    """Connect once; `paramedic.remediation.probe_answer` decides what is failing and what is unknown."""
    return measured(connect(*host_and_port(question.where), question.timeout, question.line))


@dataclass(frozen=True, slots=True)
class Connection:
    """The result of one try: accepted, refused or no answer, the time it took, and the reason in words."""

    sight: Sight
    took_ms: float
    why: str

    @property
    def ok(self) -> bool:
        """Whether it was accepted."""
        return self.sight is Sight.WELL


def connect(host: str, port: int, timeout: timedelta, line: Line | None = None) -> Connection:
    """Try once; the connection is closed at once, and nothing is sent. No answer is a result, not an exception.

    `paramedic.remediation.probe_answer` decides which results are failing and which are unknown. Raises
    PermanentError
    on an address that cannot be asked. A name is looked up for as long as the machine's resolver takes. `line`: by which it is
    asked from elsewhere; a time-out there is unknown, and so is what `line` raises.
    """
    begun = time.perf_counter()

    def seen(sight: Sight, why: str) -> Connection:
        return Connection(sight, (time.perf_counter() - begun) * 1000, why)

    try:
        if line is None:
            socket.create_connection((host, port), timeout.total_seconds()).close()
        else:
            with line(host, port):
                pass
    except TimeoutError:
        sight = Sight.UNKNOWN if line is not None else probe_answer.of_no_answer(host, connected=False)
        return seen(sight, f"no connection within {spoken(timeout)}")
    except socket.gaierror as error:
        return seen(Sight.UNKNOWN, f"the name {one_line(host)} does not resolve: {one_line(str(error.strerror))}")
    except OSError as error:
        return seen(probe_answer.of_errno(error.errno or 0), f"could not connect: {one_line(str(error))}")
    except (UnicodeError, OverflowError, ValueError) as error:
        raise PermanentError(f"this address cannot be asked: {one_line(str(error))}") from error
    return seen(Sight.WELL, "connected")
