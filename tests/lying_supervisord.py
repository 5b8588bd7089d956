"""A supervisord that answers each of its callers with what a test says, whatever is asked."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from paramedic.remediation.target import Target

OK = b"HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\n\r\n"


def at(address: str) -> Target:
    return Target("here/app", "tracking", "here", "supervisord", "app", address)


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[Target, list[bytes]]]:
    """A server that gives its first caller the first answer, and so on, whatever is asked; and what was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in answers:
                line, _ = server.accept()
                with line:
                    line.settimeout(5)
                    asked.append(line.recv(65_536))
                    line.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield at(f"http://127.0.0.1:{server.getsockname()[1]}"), asked
        thread.join(5)


def saying(value: bytes) -> bytes:
    return OK + b"<methodResponse><params><param><value>" + value + b"</value></param></params></methodResponse>"


RUNNING = saying(
    b"<struct><member><name>pid</name><value><int>7</int></value></member>"
    b"<member><name>start</name><value><int>1700000000</int></value></member>"
    b"<member><name>statename</name><value><string>RUNNING</string></value></member></struct>"
)

#: What it answers to a restart that it says it has carried out, and that has changed nothing.
RESTARTED_NOTHING = saying(
    b"<array><data><value><boolean>1</boolean></value><value><boolean>1</boolean></value><value>"
    + RUNNING.partition(b"<value>")[2].rpartition(b"</value></param>")[0]
    + b"</value></data></array>"
)
