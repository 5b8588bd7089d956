"""Looks by a program on the host: an argument list, a deadline that the host keeps too, bounded output."""

import re
from collections.abc import Sequence

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.transport import KEPT, Ended, OutOfTime
from paramedic.machine.clock import boottime
from paramedic.text.decoding import decode
from paramedic.text.sanitize import one_line, visible
from paramedic.transports.ssh_connection import SshConnection
from paramedic.transports.ssh_shell import Shell, quoted, shell

#: A program that reads nothing has so long after its deadline on the host, should we not be there to end it. Seconds.
_LATER = 1.0

#: What a program may not inherit from the shell that starts it: PATH alone is left.
CLEAN = "unset HOME XDG_STATE_HOME SSH_CONNECTION LC_ALL OLDPWD\n"

#: How `env` and `timeout` say that there is no such program, by their exit codes too.
_ABSENT = re.compile(r"^(env|timeout): .*", re.MULTILINE)
_ABSENT_CODES = (126, 127)
_NOT_STARTED = 125

#: A login shell may print so much by itself. Bytes.
_BEFORE = 1024 * 1024


class Tail:
    """The end of an output, from a token on: what was printed before it is not ours."""

    def __init__(self, token: bytes, kept: int = KEPT) -> None:
        self._token = token
        self._kept = kept
        self._before: bytes | None = b""
        self._data = b""
        self._size = 0
        self._head = b""

    def add(self, data: bytes) -> None:
        """More of it. Raises TemporaryError where the token does not come."""
        if self._before is not None:
            before, token, data = (self._before + data).partition(self._token)
            if not token:
                self._before = before
                if len(before) > _BEFORE:
                    raise TemporaryError("what the login shell prints by itself has no end")
                return
            self._before = None
        self._head = self._head or data[:4]
        self._size += len(data)
        self._data = (self._data + data)[-self._kept :]

    def text(self) -> str:
        """The text, safe to display."""
        return visible(decode(self._data, offset=self._size - len(self._data), head=self._head))


def run(connection: SshConnection, arguments: Sequence[str], deadline: float, *, kept: int = KEPT) -> Ended:
    """Run a program to its end. Raises as `Transport.run` does."""
    left = max(deadline - boottime(), 0.1)
    guarded = quoted(["timeout", "--kill-after=2", str(round(left + _LATER, 1)), *arguments])
    with shell(connection, deadline) as sh:
        begins = f"printf %s {sh.token}; printf %s {sh.token} >&2; cd /; {CLEAN}"
        sh.send(f"{begins}exec {guarded} </dev/null", deadline, last=True)
        output = Tail(sh.token.encode(), kept)
        try:
            while chunk := sh.receive(deadline):
                output.add(chunk)
        except TimeoutError as error:
            raise OutOfTime(output.text() + _errors(sh)) from error
        code = sh.status(deadline)
        errors = _errors(sh)
    if code in _ABSENT_CODES and _ABSENT.search(errors):
        raise PermanentError(
            f"{connection.host.name} has no program that {arguments[0]!r:.200} needs: {one_line(errors)}"
        )
    if code == _NOT_STARTED and errors.startswith("timeout: "):
        raise TemporaryError(f"{connection.host.name} could not start {arguments[0]!r:.200}: {one_line(errors)}")
    return Ended(code, output.text(), errors)


def _errors(sh: Shell) -> str:
    return visible(decode(sh.ours(sh.errors), offset=0, head=b""))
