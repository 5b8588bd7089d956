"""One shell on the host that carries out one operation after another and answers each: for folders and files."""

from collections.abc import Iterator
from contextlib import contextmanager

from paramedic.errors import TemporaryError
from paramedic.machine.clock import boottime
from paramedic.transports.ssh_connection import SshConnection
from paramedic.transports.ssh_error import from_words
from paramedic.transports.ssh_shell import Lost, Shell, quoted, shell

#: So long one operation may take, and the shell on its way. Seconds.
_OPERATION_SECONDS = 10.0

#: A shell that nobody speaks to ends by itself, should the connection vanish unseen, and with it its lock. Seconds.
_LONGEST_SECONDS = 600

#: An answer has at most so many bytes beyond what was asked for.
_MORE = 65_536

# Each operation runs in a shell of its own, whose standard error is part of the answer.
_PRELUDE = """
ask() { { err=$("$@" 2>&1 >&3 3>&-); } 3>&1; code=$?; printf '%s %s %s%s' "$token" "$code" "$err" "$token"; }
printf %s "$token"
"""


class Cut(ConnectionError):
    """The host was lost before it answered: whether it carried out the operation is not known."""


class Dialogue:
    """Asks for operations by their names. What cannot be done raises OSError by its kind, Cut where no answer came."""

    def __init__(self, sh: Shell) -> None:
        self._shell = sh
        self._token = sh.token.encode()
        self._received = b""

    def begin(self, operations: str, deadline: float) -> None:
        """Teach it the operations. Raises TemporaryError where it does not answer."""
        try:
            self._shell.send(f"token={self._shell.token}\n{operations}\n{_PRELUDE}", deadline)
            self._until_token(deadline, _MORE)  # what the login shell prints by itself comes before the first token
        except TimeoutError as error:
            raise TemporaryError("it did not answer in time") from error

    def ask(self, *words: str, limit: int = 0, within: float = _OPERATION_SECONDS) -> bytes:
        """The output of an operation, at most `limit` bytes and some more."""
        return self.do(f"ask {quoted(words)}", limit=limit, within=within)

    def do(self, script: str, *, limit: int = 0, within: float = _OPERATION_SECONDS) -> bytes:
        """As `ask`, of a script that answers as it does."""
        deadline = boottime() + within
        try:
            self._shell.send(script, deadline)
            output = self._until_token(deadline, limit + _MORE)
            code, _, errors = self._until_token(deadline, _MORE).decode(errors="replace").strip().partition(" ")
        except (Lost, TimeoutError) as error:
            raise Cut(f"no answer: {error}" if str(error) else "no answer in time") from error
        if code != "0":
            raise from_words(errors)
        return output

    def _until_token(self, deadline: float, limit: int) -> bytes:
        while self._token not in self._received:
            chunk = self._shell.receive(deadline)
            if not chunk:
                raise Lost("the connection was cut")
            self._received += chunk
            if len(self._received) > limit + _MORE:
                raise TimeoutError("its answer has no end")
        found, _, self._received = self._received.partition(self._token)
        return found


@contextmanager
def dialogue(connection: SshConnection, operations: str) -> Iterator[Dialogue]:
    """A shell that knows the operations, as functions. Raises TemporaryError or PermanentError where there is none."""
    deadline = boottime() + _OPERATION_SECONDS
    with shell(connection, deadline, longest=_LONGEST_SECONDS) as sh:
        talk = Dialogue(sh)
        talk.begin(operations, deadline)
        yield talk
