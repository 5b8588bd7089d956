"""A few questions to a Redis server (RESP2, Redis's own protocol), each with one deadline."""

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.clock import boottime, spoken
from paramedic.text.sanitize import one_line

PORT = 6379

#: A line, and a whole answer, are no longer.
_LINE, _ANSWER = 65_536, 4 * 1024 * 1024

#: What a server says that will be otherwise in a while.
_LATER = ("LOADING", "BUSY", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN", "READONLY")


class Session:
    """A connection, as its deadline allows. Raises TemporaryError where it breaks or is late, PermanentError at a refusal."""

    def __init__(self, line: socket.socket, who: str, timeout: timedelta, deadline: float) -> None:
        self._line, self._who, self._timeout, self._deadline = line, who, timeout, deadline
        self._read = b""
        self._size = 0

    def ask(self, *words: str) -> Any:
        """The answer to one command: text, a whole number, None, or a list of these."""
        parts = [word.encode() for word in words]
        asked = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        self._limit()
        with self._told():
            self._line.sendall(b"*%d\r\n%s" % (len(parts), asked))
        self._size = 0
        return self._answer(0)

    def _answer(self, depth: int) -> Any:
        line = self._until_line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode("utf-8", "replace")
        if kind == b"-":
            said = one_line(rest.decode("utf-8", "replace"))[:200]
            error = TemporaryError if said.startswith(_LATER) else PermanentError
            raise error(f"{self._who} refuses: {said}")
        if not rest.lstrip(b"-").isdigit():
            raise PermanentError(f"{self._who} does not speak as Redis does")
        number = int(rest)
        if kind == b":":
            return number
        if kind == b"$":
            return None if number < 0 else self._bytes(number + 2)[:-2].decode("utf-8", "replace")
        if kind == b"*" and depth < 8 and number <= 100_000:
            return None if number < 0 else [self._answer(depth + 1) for _ in range(number)]
        raise PermanentError(f"{self._who} does not speak as Redis does")

    def _until_line(self) -> bytes:
        while b"\r\n" not in self._read:
            if len(self._read) > _LINE:
                raise PermanentError(f"{self._who} does not speak as Redis does")
            self._receive()
        line, _, self._read = self._read.partition(b"\r\n")
        return line

    def _bytes(self, count: int) -> bytes:
        if count > _ANSWER:
            raise PermanentError(f"{self._who} answers too much")
        while len(self._read) < count:
            self._receive()
        found, self._read = self._read[:count], self._read[count:]
        return found

    def _receive(self) -> None:
        self._limit()
        with self._told():
            got = self._line.recv(65_536)
        self._size += len(got)
        if not got:
            raise TemporaryError(f"{self._who} has closed the connection")
        if self._size > _ANSWER:
            raise PermanentError(f"{self._who} answers too much")
        self._read += got

    def _limit(self) -> None:
        left = self._deadline - boottime()
        if left <= 0:
            raise TemporaryError(f"{self._who} gives no whole answer within {spoken(self._timeout)}")
        self._line.settimeout(left)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise TemporaryError(f"{self._who} gives no whole answer within {spoken(self._timeout)}") from error
        except OSError as error:
            raise TemporaryError(f"the connection to {self._who} broke: {one_line(str(error))}") from error


@contextmanager
def session(url: str, timeout: timedelta, login: Sequence[str] = ()) -> Iterator[Session]:
    """A session with the server at `redis://HOST:PORT/DATABASE` (`rediss://` by TLS).

    `login`: a password, or a user and a password. Raises TemporaryError where it does not answer in time, PermanentError where it
    refuses, or its certificate is not trusted.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORT
    who, deadline = f"Redis at {host}:{port}", boottime() + timeout.total_seconds()
    try:
        line = socket.create_connection((host, port), timeout.total_seconds())
    except TimeoutError as error:
        raise TemporaryError(f"{who} is not reached within {spoken(timeout)}") from error
    except (OSError, UnicodeError) as error:
        raise TemporaryError(f"{who} is not reached: {one_line(str(error))}") from error
    try:
        if parts.scheme == "rediss":
            line = _by_tls(line, host, who, deadline)
        opened = Session(line, who, timeout, deadline)
        if login:
            opened.ask("AUTH", *login)
        if database := parts.path.strip("/"):
            opened.ask("SELECT", database)
        yield opened
    finally:
        line.close()


def _by_tls(line: socket.socket, host: str, who: str, deadline: float) -> socket.socket:
    line.settimeout(max(0.001, deadline - boottime()))
    try:
        return ssl.create_default_context().wrap_socket(line, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise PermanentError(f"the certificate of {who} is not trusted: {one_line(error.verify_message)}") from error
    except OSError as error:
        raise TemporaryError(f"{who} does not speak TLS: {one_line(str(error))}") from error
