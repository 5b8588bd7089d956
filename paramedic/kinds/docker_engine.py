"""The Docker Engine API, by a connection of a transport: Docker's own, or the one of podman's service."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any

from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TemporaryError
from paramedic.kinds.transport import Connection, TcpPort, Transport, UnixSocket
from paramedic.machine.clock import boottime
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.target import Target
from paramedic.text.sanitize import one_line

ANSWER_LIMIT = 4 * 1024 * 1024  # bytes; an answer about one container is some tens of kilobytes

#: Statuses of answers that leave open what became of a request: a proxy before the Engine gave up waiting for it.
_OPEN = frozenset({408, 429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the Engine; `whole` says whether all of its body came."""

    status: int
    body: bytes
    whole: bool

    @property
    def words(self) -> str:
        """What the Engine says of a failure: its status and its `message`, or the beginning of what it sent."""
        try:
            said = json.loads(self.body)["message"]
        except (ValueError, LookupError, TypeError):
            said = self.body[:300].decode(errors="replace")
        return f"{self.status} {one_line(str(said))[:300]}".rstrip()


#: Sends the path of a change, after the last look that it is handed.
Send = Callable[[str, Callable[[], None]], Answer]


class Engine:
    """The Engine that a target's container belongs to, one connection for each request. Deadlines are of `boottime()`."""

    def __init__(self, target: Target, transport: Transport) -> None:
        self._target, self._transport = target, transport
        self.date = ""  # when it answered last, by its own clock: the `Date` of its answer
        self.server = ""  # what answered last, as it calls itself: `Docker/24.0.7 (linux)`, `Libpod/4.3.1 (linux)`

    @property
    def is_docker(self) -> bool:
        """Whether what answered last says that it is Docker's own Engine; podman, and who hides what it is, is not."""
        return self.server.startswith("Docker/")

    def get(self, path: str, deadline: float, *, partly: bool = False) -> Answer:
        """What it answers to a look; with `partly` also what came of its body until the deadline.

        Raises TemporaryError without an answer, and where it is busy; PermanentError where it says no, where this user may
        not talk to it, and where the target is on another machine than the transport leads to.
        """
        answer = self._look("GET", path, deadline, partly=partly)
        if answer.status == 200:
            return answer
        words = f"the Docker Engine of {self._target.id} says {answer.words}"
        if answer.status in _OPEN or answer.status == 500:
            raise TemporaryError(words)
        raise PermanentError(words)

    def ask(self, path: str, deadline: float, kind: type) -> Any:
        """Its answer to a look, read as JSON of this type. Raises TemporaryError where it is another, and as `get` does."""
        try:
            found = json.loads(self.get(path, deadline).body)
        except ValueError as error:
            raise TemporaryError(
                f"the Docker Engine's answer about {self._target.id} is cut off or not JSON"
            ) from error
        if not isinstance(found, kind):
            raise TemporaryError(f"the Docker Engine's answer about {self._target.id} is not what was asked for")
        return found

    def refusal(self, path: str, deadline: float) -> str | None:
        """What it says to a change of something that does not exist, where that is another no than `404`; None otherwise.

        A proxy before the socket, or a plug-in of the Engine, may allow looks alone. Raises as `get` does.
        """
        answer = self._look("POST", path, deadline)
        if answer.status in _OPEN or answer.status == 500:
            raise TemporaryError(f"the Docker Engine of {self._target.id} says {answer.words}")
        return None if answer.status == 404 else answer.words

    @contextmanager
    def prepared(self, deadline: float) -> Iterator[Send]:
        """An open connection for one change: what it yields sends it. Raises as `get` does, and nothing was sent.

        The connection is kept open for the answer also if this process dies: some versions of Docker give a restart up after
        the stop when their client is gone.
        """
        with self._connect(deadline, outlives_us=True) as line:
            yield partial(self._post, line, deadline)

    def change(self, method: str, path: str, deadline: float, content: Any = None) -> Answer:
        """What it answers to a change beside the one that a last look goes before: a step of its preparation, or what follows it.

        Raises OutcomeUnknown where it was sent and no answer tells what became of it; else as `get` does, and nothing was sent.
        """
        with self._connect(deadline) as line:
            try:
                line.send(_request(method, path, content), deadline)
                answer = self._answer(line, deadline)
            except (OSError, TemporaryError) as error:
                raise OutcomeUnknown(
                    f"{method} {path.partition('?')[0]} was sent, and not answered: {error}"
                ) from error
        if answer.status in _OPEN:
            raise OutcomeUnknown(answer.words)
        return answer

    def _post(self, line: Connection, deadline: float, path: str, last_look: Callable[[], None]) -> Answer:
        """What it answers to a change; `last_look` is called just before the only send.

        Raises Refused where the deadline passed during the last look, and TemporaryError: nothing was sent. OutcomeUnknown: it
        was sent, and no answer tells what became of it.
        """
        last_look()
        if boottime() >= deadline:
            raise Refused(f"the time for changing {self._target.id} was over before it was sent")
        line.outlive_us()
        try:
            line.send(_request("POST", path), deadline)
            kill_point("act_sent", self._target.id)
            answer = self._answer(line, deadline)
        except (OSError, TemporaryError) as error:
            raise OutcomeUnknown(str(error)) from error
        if answer.status in _OPEN:
            raise OutcomeUnknown(answer.words)
        return answer

    def _look(self, method: str, path: str, deadline: float, *, partly: bool = False) -> Answer:
        with self._connect(deadline) as line:
            try:
                line.send(_request(method, path), deadline)
            except OSError as error:
                raise TemporaryError(f"the Docker Engine of {self._target.id} took no request: {error}") from error
            return self._answer(line, deadline, partly=partly)

    def _connect(self, deadline: float, *, outlives_us: bool = False) -> Connection:
        target = self._target
        if not self._transport.leads_to(target.host):  # one of the same name here would be restarted instead
            raise PermanentError(
                f"{target.id} is a container of {target.host}, and this machine is {self._transport.machine}"
            )
        try:
            return self._transport.connect(_way(target), deadline, outlives_us=outlives_us)
        except PermissionError as error:
            raise PermanentError(
                f"this user may not talk to {target.address} of {target.host}: let its group have it (Docker's is `docker`, and "
                f"whoever is in it is root there)"
            ) from error
        except OSError as error:
            raise TemporaryError(f"no Docker Engine listens on {target.address} of {target.host}: {error}") from error
        except ValueError as error:  # a path with a null byte
            raise PermanentError(f"the address {target.address!r} of {target.id} cannot be right: {error}") from error

    def _answer(self, line: Connection, deadline: float, *, partly: bool = False) -> Answer:
        """The answer on this connection. Raises TemporaryError where none came that can be understood."""
        incoming = _Incoming(line, deadline)
        try:
            response = HTTPResponse(incoming)  # type: ignore[arg-type] # it asks for makefile alone
            response.begin()
            incoming.ends_in_time = partly
            try:
                body, whole = response.read(), not incoming.late
            except IncompleteRead as error:
                body, whole = error.partial, False
        except (TimeoutError, BlockingIOError) as error:
            raise TemporaryError(f"the Docker Engine of {self._target.id} did not answer in time") from error
        except (OSError, HTTPException, ValueError) as error:
            why = one_line(str(error))[:200] or type(error).__name__
            raise TemporaryError(f"the Docker Engine of {self._target.id} gave no answer: {why}") from error
        self.date = response.getheader("Date") or ""
        self.server = one_line(response.getheader("Server") or "")
        return Answer(response.status, body, whole)


class _Incoming:
    """What arrives on a connection, as the file that HTTPResponse reads; it ends after ANSWER_LIMIT bytes."""

    def __init__(self, line: Connection, deadline: float) -> None:
        self._line, self._deadline = line, deadline
        self._held = bytearray()
        self._left = ANSWER_LIMIT
        self.ends_in_time = False  # at the deadline it ends, as where the other side has closed
        self.late = False  # it did

    def makefile(self, _mode: str) -> "_Incoming":
        return self

    def readline(self, limit: int) -> bytes:
        while (end := self._held.find(b"\n") + 1) == 0 and len(self._held) < limit and self._more():
            pass
        return self._take(min(end or limit, limit))

    def read(self, amount: int = ANSWER_LIMIT) -> bytes:
        while len(self._held) < amount and self._more():
            pass
        return self._take(amount)

    def close(self) -> None:
        """Nothing: the connection belongs to who opened it."""

    flush = close

    def _more(self) -> bool:
        try:
            came = self._line.receive(self._deadline)[: self._left]
        except (TimeoutError, BlockingIOError):
            self.late = True
            if not self.ends_in_time:
                raise
            came = b""
        self._left -= len(came)
        self._held += came
        return bool(came)

    def _take(self, amount: int) -> bytes:
        taken = bytes(self._held[:amount])
        del self._held[:amount]
        return taken


def frames(framed: bytes) -> Iterator[tuple[bool, bytes]]:
    """What is in the frames of a log, each with whether it is of stderr.

    A frame: a byte for the stream (1: stdout, 2: stderr), three zeros, a length of four, the text.
    """
    rest = memoryview(framed)
    while len(rest) > 8:
        end = 8 + int.from_bytes(rest[4:8], "big")
        yield rest[0] == 2, bytes(rest[8:end])
        rest = rest[end:]


def demultiplexed(framed: bytes) -> Iterator[bytes]:
    """What is in the frames of a log, stderr marked as such."""
    return ((b"stderr: " if from_stderr else b"") + part for from_stderr, part in frames(framed))


def _way(target: Target) -> UnixSocket | TcpPort:
    """Where its Engine listens. Raises ValueError."""
    if not target.address.startswith("tcp://"):
        return UnixSocket(target.address)
    host, _, port = target.address.removeprefix("tcp://").rpartition(":")
    return TcpPort(host.removeprefix("[").removesuffix("]"), int(port), getattr(target.words, "tls", None))


def _request(method: str, path: str, content: Any = None) -> bytes:
    """A whole request, so that one send is the act; `content` goes along as JSON."""
    body = b"" if content is None else json.dumps(content).encode()
    head = [f"{method} {path} HTTP/1.1", "Host: docker", "Connection: close"]
    if method == "POST":
        head += [f"Content-Length: {len(body)}", *(["Content-Type: application/json"] if body else [])]
    return "\r\n".join([*head, "", ""]).encode() + body
