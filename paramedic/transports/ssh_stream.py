"""Connections from a host, to a Unix socket or a TCP port there; one may outlive ours to the host."""

from contextlib import ExitStack
from datetime import timedelta
from typing import Self

import paramiko

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.transport import TcpPort, UnixSocket
from paramedic.machine.clock import boottime
from paramedic.text.sanitize import one_line
from paramedic.transports.ssh_connection import SshConnection
from paramedic.transports.ssh_error import os_error
from paramedic.transports.ssh_paramiko import close_quietly, readable
from paramedic.transports.ssh_shell import Shell, quoted, shell

#: A connection that is kept there, without us, ends after this.
LONGEST = timedelta(minutes=10)

_SEND_SECONDS = 5.0

#: Keeps a connection on the host. Its first byte says whether it is to outlive us (`!`); then it waits for the other side to
#: answer or to be gone, whatever becomes of us: a server may abandon a request when its client is gone.
_KEEPER = r"""import os, select, socket, sys
token, kind, where, port, longest = sys.argv[1:]
try:
    if kind == "unix":
        line = socket.socket(socket.AF_UNIX)
        line.connect(where)
    else:
        line = socket.create_connection((where, int(port)), 10)
except OSError as error:
    os.write(1, b"%s-%d\n" % (token.encode(), error.errno or 5))
    sys.exit()
line.settimeout(None)
os.write(1, b"%s+\n" % token.encode())
kept, ours = os.read(0, 1) == b"!", True
while True:
    ready = select.select([line, 0] if ours else [line], [], [], float(longest))[0]
    if 0 in ready:
        data = os.read(0, 65536)
        ours = bool(data)
        if data:
            line.sendall(data)
        elif not kept:
            break
    if line in ready:
        data = line.recv(65536)
        if not data or not ours:
            break
        try:
            os.write(1, data)
        except OSError:
            ours = False
    if not ready:
        break
"""


class SshStream:
    """An open connection. What cannot be done raises OSError."""

    def __init__(self, channel: paramiko.Channel, held: ExitStack, *, kept: bool, host: str) -> None:
        self._channel = channel
        self._held = held
        self._kept = kept
        self._told = False  # whether it is to outlive us
        self._host = host

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def outlive_us(self) -> None:
        """Keep it open also if this process dies, or loses the host. Raises TemporaryError where that fails."""
        if not self._kept:
            raise TemporaryError("this connection was not made to outlive its process")
        if self._told:
            raise TemporaryError("something was sent by this connection already")
        self._told = True
        try:
            self.send(b"!", boottime() + _SEND_SECONDS)
        except OSError as error:
            raise TemporaryError(f"what keeps the connection on {self._host} is gone: {error}") from error

    def send(self, data: bytes, deadline: float) -> None:
        """Send all of it."""
        if self._kept and not self._told:
            self._told, data = True, b"." + data
        self._channel.settimeout(max(deadline - boottime(), 0.01))
        try:
            self._channel.sendall(data)
        except (paramiko.SSHException, EOFError) as error:
            raise ConnectionResetError(f"{self._host} was lost: {one_line(str(error))}") from error

    def receive(self, deadline: float) -> bytes:
        """The next bytes, b"" where the other side has closed. Raises ConnectionResetError where the host was lost."""
        if not readable(self._channel, deadline):
            raise TimeoutError("timed out")
        data = self._channel.recv(65_536)
        if not data and not self._channel.eof_received:
            raise ConnectionResetError(f"{self._host} was lost")
        return data


def connect(connection: SshConnection, to: UnixSocket | TcpPort, deadline: float, *, outlives_us: bool) -> SshStream:
    """Open a connection from the host. Raises OSError by its kind, ValueError on an address that cannot be right."""
    if isinstance(to, UnixSocket) and "\0" in to.path:
        raise ValueError("embedded null byte")
    if outlives_us:
        return _kept(connection, to, deadline)
    held = ExitStack()
    if isinstance(to, UnixSocket):
        channel = connection.opened(lambda transport, seconds: transport.open_unix_socket(to.path, seconds), deadline)
    else:
        address = (to.host, to.port)
        channel = connection.opened(lambda transport, seconds: transport.open_port(address, seconds), deadline)
    held.callback(close_quietly, channel)
    return SshStream(channel, held, kept=False, host=connection.host.name)


def _kept(connection: SshConnection, to: UnixSocket | TcpPort, deadline: float) -> SshStream:
    where = ["unix", to.path, "0"] if isinstance(to, UnixSocket) else ["tcp", to.host, str(to.port)]
    held = ExitStack()
    try:
        sh = held.enter_context(shell(connection, deadline))
        program = ["python3", "-I", "-S", "-c", _KEEPER, sh.token, *where, str(LONGEST.total_seconds())]
        sh.send(f"command -v python3 >/dev/null || {{ echo {sh.token}0; exit; }}; exec {quoted(program)}", deadline)
        _raise_unless_open(_first_word(sh, deadline), connection.host.name)
    except BaseException:  # raised again: no channel is left open
        held.close()
        raise
    return SshStream(sh.channel, held, kept=True, host=connection.host.name)


def _first_word(sh: Shell, deadline: float) -> bytes:
    """What the keeper says of the connection, after the token; b"" where it ended."""
    said, token = b"", sh.token.encode()
    while b"\n" not in said.partition(token)[2]:
        if not (more := sh.receive(deadline)):
            return b""
        said += more
    return said.partition(token)[2].strip()


def _raise_unless_open(word: bytes, host: str) -> None:
    if word == b"":
        raise TemporaryError(f"{host} ended what keeps a connection there")
    if word == b"0":
        raise PermanentError(f"{host} has no python3, which keeps a connection there when ours is cut")
    if word != b"+":
        raise os_error(int(word.removeprefix(b"-")))
