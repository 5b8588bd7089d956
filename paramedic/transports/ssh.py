"""A machine that is reached by SSH, as a transport. What it needs there, docs/hosts.md says."""

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta

from paramedic.errors import PermanentError
from paramedic.kinds.log_parts import LIMIT, LogParts, LogPosition
from paramedic.kinds.transport import KEPT, Connection, Ended, Folder, Mark, TcpPort, UnixSocket
from paramedic.machine.clock import boottime
from paramedic.machine.open_transaction import must_be_closed
from paramedic.remediation.host import Host
from paramedic.transports import (
    postgresql,
    ssh_file,
    ssh_folder,
    ssh_log,
    ssh_mark,
    ssh_run,
    ssh_stream,
    tls_connection,
)
from paramedic.transports.ssh_command import Change, SshCommand
from paramedic.transports.ssh_connection import connection
from paramedic.transports.ssh_process import SshProcesses
from paramedic.transports.ssh_shell import answer

#: So long a host may take to say its name. Seconds.
_NAME_SECONDS = 5.0


class Ssh:
    """The host, by the one connection to it that this process has."""

    def __init__(self, host: Host, *, act: str | None = None, lock: str = "") -> None:
        """`act`: the id of the change that is made by it, `lock`: what excludes other changes there, such as its target."""
        self._host = host
        self._connection = connection(host)
        self._act = act
        self._lock = hashlib.sha256(lock.encode()).hexdigest()[:16]
        self.processes = SshProcesses(self._connection)

    @property
    def machine(self) -> str:
        """Its host name."""
        return answer(self._connection, "uname -n", boottime() + _NAME_SECONDS).decode(errors="replace").strip()

    @property
    def by_sudo(self) -> bool:
        """Whether its host says `sudo: true`."""
        return self._host.ssh is not None and self._host.ssh.sudo

    def seen_from(self) -> str:
        """The client's address as its sshd has it: of the host before it, where one leads to it."""
        said = answer(self._connection, 'printf %s "$SSH_CONNECTION"', boottime() + _NAME_SECONDS)
        address = said.decode(errors="replace").partition(" ")[0]
        if not address:
            raise PermanentError(
                f"{self._host.name} does not say from where it sees us: its sshd sets no SSH_CONNECTION"
            )
        return address.partition("%")[0]

    def leads_to(self, host: str) -> bool:
        """Whether `host` is the one that services.yaml lists."""
        return host == self._host.name

    def command(
        self,
        arguments: Sequence[str],
        *,
        cwd: str | None = None,
        environment: Mapping[str, str] | None = None,
        killed_after: timedelta | None = None,
        limit: timedelta | None = None,
        sudoers: str | None = None,
    ) -> SshCommand:
        """A change by a program, in a session of its own; `killed_after` and `limit` are kept by the host."""
        must_be_closed("a program is started")
        act = ssh_mark.checked(self._act or f"once-{secrets.token_hex(8)}")
        words, variables = tuple(arguments), dict(environment or {})
        change = Change(
            act, self._lock, words, cwd, variables, killed_after or limit, killed_after is not None, sudoers
        )
        return SshCommand(self._connection, change)

    def run(self, arguments: Sequence[str], deadline: float, *, kept: int = KEPT) -> Ended:
        """Run a program that only looks, to its end; never by sudo."""
        return ssh_run.run(self._connection, arguments, deadline, kept=kept)

    def mark(self, act: str) -> Mark:
        """What the host knows of the act."""
        return ssh_mark.look(self._connection, act)

    def connect(self, to: UnixSocket | TcpPort, deadline: float, *, outlives_us: bool = False) -> Connection:
        """Open a connection from the host."""
        line = ssh_stream.connect(self._connection, to, deadline, outlives_us=outlives_us)
        return tls_connection.secured(to, line, deadline)

    def database(self, address: str, deadline: float) -> postgresql.Session:
        """Open a session with a PostgreSQL server from here: not by SSH. One on this machine is none of the host's."""
        return postgresql.connect_elsewhere(address, deadline, self._host.name)

    @contextmanager
    def folder(self, path: str) -> Iterator[Folder]:
        """Open a folder."""
        with ssh_folder.opened(self._connection, path) as folder:
            yield folder

    def tail(self, path: str, max_bytes: int = 16_384, max_lines: int = 100) -> str:
        """The end of a log."""
        return ssh_file.tail(self._connection, path, max_bytes, max_lines)

    def log(self, path: str, deadline: float, *, after: LogPosition | None = None, limit: int = LIMIT) -> LogParts:
        """What is new in a log."""
        return ssh_log.parts(self._connection, path, after, deadline, limit)

    def read(self, path: str, limit: int = 65_536) -> bytes:
        """A whole file."""
        return ssh_file.read(self._connection, path, limit)

    def replace(self, path: str, content: bytes) -> None:
        """Replace a file, by a new one that is renamed."""
        ssh_file.replace(self._connection, path, content)
