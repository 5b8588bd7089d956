"""The machine that Paramedic runs on, as a transport."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta

from paramedic.kinds.log_parts import LIMIT, LogParts, LogPosition
from paramedic.kinds.transport import KEPT, Connection, Ended, Folder, TcpPort, UnixSocket
from paramedic.transports import (
    local_connection,
    local_file,
    local_folder,
    local_log,
    local_process,
    postgresql,
    tls_connection,
)
from paramedic.transports.local_command import LocalCommand, located


class Local:
    """The machine that Paramedic runs on. `via` precedes every command, to run it in a container or as another user."""

    def __init__(self, via: Sequence[str] = ()) -> None:
        self._via = tuple(via)
        self.processes = local_process.LocalProcesses()

    @property
    def machine(self) -> str:
        """Its host name."""
        return socket.gethostname()

    @property
    def by_sudo(self) -> bool:
        """Never here."""
        return False

    def seen_from(self) -> None:
        """From nowhere: it is this machine."""
        return

    def leads_to(self, host: str) -> bool:
        """Whether `host` is a name of this machine; with `via`, the author of the words knows."""
        ours = self.machine.partition(".")[0].casefold()
        return bool(self._via) or host == "localhost" or host.partition(".")[0].casefold() == ours

    def command(
        self,
        arguments: Sequence[str],
        *,
        cwd: str | None = None,
        environment: Mapping[str, str] | None = None,
        killed_after: timedelta | None = None,
        limit: timedelta | None = None,
        sudoers: str | None = None,  # noqa: ARG002 - the interface's: no sudo here
    ) -> LocalCommand:
        """A program in a session of its own; `killed_after` and `limit` are kept by coreutils' timeout."""
        whole, after = (*self._via, *arguments), killed_after or limit
        if after is not None:
            guard = ("timeout", "--signal=KILL", str(after.total_seconds()))
            whole = (*guard, located(whole[0]), *whole[1:])
        return LocalCommand(whole, cwd=cwd, environment=environment)

    def run(self, arguments: Sequence[str], deadline: float, *, kept: int = KEPT) -> Ended:
        """Run a program to its end."""
        with LocalCommand((*self._via, *arguments), kept=kept) as program:
            program.start()
            return program.end(deadline)

    def mark(self, act: str) -> None:  # noqa: ARG002 - the interface's
        """Nothing: what is changed here goes on without us, and its owner or its instance says what became of it."""
        return

    def connect(self, to: UnixSocket | TcpPort, deadline: float, *, outlives_us: bool = False) -> Connection:
        """Open a connection."""
        return tls_connection.secured(to, local_connection.connect(to, deadline, outlives_us=outlives_us), deadline)

    def database(self, address: str, deadline: float) -> postgresql.Session:
        """Open a session with a PostgreSQL server, which may be on any machine."""
        return postgresql.connect(address, deadline)

    @contextmanager
    def folder(self, path: str) -> Iterator[Folder]:
        """Open a folder."""
        with local_folder.opened(path) as folder:
            yield folder

    def tail(self, path: str, max_bytes: int = 16_384, max_lines: int = 100) -> str:
        """The end of a log."""
        return local_file.tail(path, max_bytes, max_lines)

    def log(self, path: str, deadline: float, *, after: LogPosition | None = None, limit: int = LIMIT) -> LogParts:  # noqa: ARG002 - the interface's: a disk is not waited for otherwise
        """What is new in a log."""
        return local_log.parts(path, after, limit)

    def read(self, path: str, limit: int = 65_536) -> bytes:
        """A whole file."""
        return local_file.read(path, limit)

    def replace(self, path: str, content: bytes) -> None:
        """Replace a file, by a new one that is renamed."""
        local_file.replace(path, content)
