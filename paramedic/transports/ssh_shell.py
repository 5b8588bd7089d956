"""A POSIX shell on the host, which is handed scripts by its standard input: the only place that quotes (P7)."""

import secrets
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import paramiko

from paramedic.errors import TemporaryError
from paramedic.kinds.transport import KEPT
from paramedic.machine.clock import boottime
from paramedic.text.sanitize import one_line
from paramedic.transports.ssh_connection import SshConnection
from paramedic.transports.ssh_paramiko import exit_status, readable, request_exec

#: All that a login shell is ever given: the same words whatever runs, which every shell reads alike. What it, and the server,
#: put into the environment ends here. The script comes by standard input: no argument list of the host shows it.
_START = (
    'exec /bin/sh -c \'exec env -i PATH="$PATH" HOME="$HOME" XDG_STATE_HOME="$XDG_STATE_HOME" '
    'SSH_CONNECTION="$SSH_CONNECTION" LC_ALL=C %s/bin/sh -s\''
)

#: So long the server has to start the shell. Seconds.
_START_SECONDS = 10.0

#: So often a silent shell is looked at. Seconds.
_LOOK_SECONDS = 0.2

#: A server may tell the exit status before the last of the output: so long that is waited for. Seconds.
_LEFT_SECONDS = 2.0


def quoted(words: Iterable[str]) -> str:
    """The words as a shell reads them: each stays one word, and none becomes anything else."""
    return shlex.join(words)


def block(script: str) -> str:
    """The script as one command: a shell that has received a part of it carries out nothing."""
    return f"{{\n{script}\n}}\n"


class Lost(TemporaryError):
    """The connection ended, or gave no answer in time, after the script was sent: what the shell did is not known."""


class Shell:
    """One shell. It ends with its channel, and so does what it runs in the foreground and reads its input."""

    def __init__(self, channel: paramiko.Channel, host: str) -> None:
        self.channel = channel
        self._host = host
        #: Nothing that a file or a program has in it can be this: a new one for each shell.
        self.token = secrets.token_hex(16)
        self.errors = b""  # the end of what came on standard error

    def send(self, script: str, deadline: float, *, last: bool = False) -> None:
        """Hand over a part of a script, as one command; `last`: no other follows. Raises Lost."""
        self.channel.settimeout(max(deadline - boottime(), 0.01))
        try:
            self.channel.sendall(block(script).encode(errors="surrogateescape"))
            if last:
                self.channel.shutdown_write()
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self._lost(error) from error

    def receive(self, deadline: float) -> bytes:
        """The next bytes of standard output, b"" at its end. Raises TimeoutError at the deadline.

        Its end is where the shell has ended, too: what it left in the background may hold the output open for ever.
        """
        over_at = None
        while True:
            over = self.channel.eof_received or self.channel.closed  # before the bytes: what came with it is read first
            if self.channel.recv_stderr_ready():
                self.errors = (self.errors + self.channel.recv_stderr(65_536))[-KEPT:]
            elif self.channel.recv_ready():
                return self.channel.recv(65_536)
            elif over or (over_at is not None and boottime() >= over_at):
                return b""
            elif not readable(self.channel, min(deadline, boottime() + _LOOK_SECONDS)):
                if boottime() >= deadline:
                    raise TimeoutError
                if over_at is None and self.channel.exit_status_ready():
                    over_at = boottime() + _LEFT_SECONDS

    def status(self, deadline: float) -> int:
        """The exit status, once the output has ended. Raises Lost where none is told: it was cut, killed, or is not over yet."""
        found = exit_status(self.channel, max(deadline - boottime(), 0.1))
        if found is None:
            raise self._lost(None)
        return found

    def ours(self, output: bytes) -> bytes:
        """The output from the token on, which the script prints first: what came before is of the login shell's own files."""
        before, token, after = output.partition(self.token.encode())
        return after if token else before

    def _lost(self, error: Exception | None) -> Lost:
        if isinstance(error, TimeoutError):  # paramiko's has no words
            return Lost(f"{self._host} did not take in time what was sent to it")
        if error is not None and str(error):
            return Lost(f"{self._host} was lost: {one_line(str(error))}")
        if not self.channel.get_transport().is_active():
            return Lost(f"{self._host} was lost: the connection was cut")
        if self.channel.closed:  # RFC 4254, 6.10: a signal is told as such, and not as an exit status
            return Lost(f"{self._host} ended the command, and told no exit status: something killed it there")
        return Lost(f"{self._host} ended its output, and told no exit status in time: it may still be at work there")


@contextmanager
def shell(connection: SshConnection, deadline: float, *, longest: int | None = None) -> Iterator[Shell]:
    """A shell on the host, ended there after `longest` seconds. Raises TemporaryError or PermanentError, and nothing was sent."""
    start = _START % (f"timeout --signal=KILL {longest} " if longest is not None else "")
    with connection.session(deadline) as channel:
        try:
            request_exec(channel, start, max(min(deadline - boottime(), _START_SECONDS), 0.01))
        except TimeoutError as error:
            connection.drop()
            raise TemporaryError(f"{connection.host} started no shell in time") from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise TemporaryError(f"{connection.host} started no shell: {one_line(str(error))}") from error
        yield Shell(channel, connection.host.name)


def answer(connection: SshConnection, script: str, deadline: float, *, limit: int = 1024 * 1024) -> bytes:
    """What the script prints, which only looks. Raises TemporaryError where it does not end in time, or prints without end."""
    with shell(connection, deadline) as sh:
        sh.send(f"printf %s {sh.token}\n{script}", deadline, last=True)
        received = bytearray()
        try:
            while chunk := sh.receive(deadline):
                received += chunk
                if len(received) > limit:
                    raise TemporaryError(f"{connection.host.name} answers without end")
        except TimeoutError as error:
            raise TemporaryError(f"{connection.host.name} did not answer in time") from error
        sh.status(deadline)
        return sh.ours(bytes(received))
