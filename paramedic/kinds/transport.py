"""The interface of transports: what a kind of target may ask of the target's machine.

A kind of target uses only its transport and never the local machine directly, so it works unchanged wherever the
transport leads. All deadlines are moments of `paramedic.machine.clock.boottime()`.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, Protocol, Self

from paramedic.kinds.log_parts import LIMIT, LogParts, LogPosition
from paramedic.kinds.probing import ProcessUse

#: Of a program's output so many bytes of the end are kept, and at most so many where a look asks for more.
KEPT = 16_384
MOST_KEPT = 1024 * 1024

#: A machine ends a change so long after its time, if we are not there to do it.
GUARD = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit code (negative for a signal) and the ends of its output, safe to display."""

    code: int
    output: str
    errors: str
    lost: bool = False  # the output was, with the connection: that it is empty says nothing
    limited: bool = False  # the machine ended it, when its time there was over: what it did by then is open


class OutOfTime(Exception):
    """The program was still running at its deadline, and its process group was ended; `output` is the end of its output."""

    def __init__(self, output: str) -> None:
        super().__init__("out of time")
        self.output = output


class Command(Protocol):
    """A program that can be started once; a context manager, which discards its output.

    It goes on to its own end if this process dies after `start`.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def start(self) -> None:
        """Start it. Raises TemporaryError or PermanentError, and nothing ran; OutcomeUnknown where that is not known."""

    def end(self, deadline: float) -> Ended:
        """How it ended, at `deadline` at the latest. Raises OutOfTime once its process group is ended."""


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """A socket in the file system of the machine."""

    path: str


@dataclass(frozen=True, slots=True)
class Tls:
    """Who a TLS server must be, and who we are to it: files in PEM, of the machine that Paramedic runs on."""

    ca: str  # signs its certificate, which has to name the host
    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class TcpPort:
    """A TCP port, as the machine reaches it."""

    host: str
    port: int
    tls: Tls | None = None  # from us to it, also where a host by SSH is in between; None: nothing is encrypted


class Connection(Protocol):
    """An open connection; a context manager, which closes it. What cannot be done raises OSError (TimeoutError is one)."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def outlive_us(self) -> None:
        """Keep it open until the other side answers or is gone, also if this process dies.

        Raises TemporaryError where it cannot; only for a connection that was made with `outlives_us`.
        """

    def send(self, data: bytes, deadline: float) -> None:
        """Send all of it."""

    def receive(self, deadline: float) -> bytes:
        """The next bytes, b"" where the other side has closed. Bytes that arrived already are read after the deadline too."""


class Database(Protocol):
    """A session with a PostgreSQL server; a context manager, which ends it. Every statement is a transaction of its own.

    It is read-only, finds nothing outside `pg_catalog`, and is the server's own: no pooler is in between.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def rows(
        self, statement: str, parameters: Mapping[str, Any] | None = None, *, deadline: float
    ) -> list[Mapping[str, Any]]:
        """The rows of one statement, in which `%(name)s` stands for a parameter.

        Raises PermanentError where the server refused it, TemporaryError where no answer came in time or the connection broke:
        whether it was carried out is not known then.
        """


class LockedFile(Protocol):
    """A file that is open for writing, and locked as by `flock`. Failures raise OSError."""

    def append(self, line: bytes) -> None:
        """Add a whole line, or nothing; one that was left unended before it is ended first."""

    def take_back(self) -> None:
        """Cut off what `append` has added."""

    def sync(self) -> None:
        """Wait until the disk has it."""


class Folder(Protocol):
    """An open folder, independent of what its path leads to later. Names are relative to it.

    What cannot be done raises OSError by its kind (FileNotFoundError, PermissionError, …); a change whose outcome is not known
    raises OutcomeUnknown.
    """

    def read(self, name: str, limit: int) -> bytes | None:
        """A file's bytes; None where it is not a regular file of at most `limit` bytes. A symlink is not followed."""

    def link(self, name: str) -> str:
        """Where a symlink leads."""

    def entry(self, link: str, subfolder: str) -> str | None:
        """The name of the folder in `subfolder` that the symlink leads to, however its path is written (device and inode decide).

        None where it leads elsewhere, to another symlink, or to nothing, and where `subfolder` is a symlink itself.
        """

    def kind(self, name: str) -> Literal["folder", "symlink", "file"] | None:
        """The kind of the entry, without following a symlink; None where nothing is there."""

    def changed_at(self, name: str) -> datetime:
        """When it was last written, a symlink not followed."""

    def names(self, name: str) -> list[str]:
        """The names in a subfolder, which must not be a symlink."""

    def locked(self, name: str) -> AbstractContextManager[LockedFile]:
        """A file, locked; BlockingIOError where another process holds the lock."""

    def unreplaceable(self, name: str) -> str | None:
        """What keeps this user from renaming an entry to `name`, and what grants it; None where nothing does. Not tried."""

    def unwritable(self, name: str) -> str | None:
        """What keeps this user from writing to a file, and what grants it; None where nothing does. Nothing is written."""

    def holder(self, name: str) -> str | None:
        """The process that holds the lock of a file, in words; None where the machine shows none."""

    def symlink(self, leads_to: str, name: str) -> None:
        """Make a symlink."""

    def rename(self, name: str, to: str) -> None:
        """Rename it to `to`, atomically."""

    def unlink(self, name: str) -> None:
        """Remove a file or a symlink."""

    def sync(self) -> None:
        """Wait until the disk has what was changed in the folder."""


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One process at the time of the look."""

    pid: int
    ppid: int
    name: str
    cmdline: str  # data: control characters are escaped, and it is cut
    rss: int  # bytes
    cpu_percent: float  # of one core
    started_at: float  # seconds since the epoch
    status: str


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """What the kernel says of one process, exactly."""

    pid: int
    boot: str  # the id of the boot
    began: int  # clock ticks after it: no setting of a clock moves that
    started_at: float  # seconds since the epoch, by the clock of the look
    user: str  # whose it is: a name, a number without one; of a program with the rights of another both, `1000 as 0`
    arguments: tuple[str, ...]  # data; none of a thread of the kernel
    state: str  # its letter in /proc/PID/stat: S, R, D, T, Z, …

    @property
    def ended(self) -> bool:
        """Whether it has ended, and only its parent has not noticed."""
        return self.state in {"Z", "X", "x"}


class Processes(Protocol):
    """The processes of the machine. All raise PermanentError where the process is gone or may not be read."""

    def memory(self, pid: int) -> int:
        """Bytes of memory that the process holds."""

    def use(self, pid: int) -> ProcessUse:
        """The current resource use of the process."""

    def tree(self, pid: int) -> Sequence[ProcessRow]:
        """The process and its descendants, itself first."""

    def all(self) -> Sequence[ProcessRow]:
        """Every process that this user may see, in no order."""

    def alive(self, pid: int, started_at: float) -> bool:
        """Whether the process that began at `started_at` (seconds since the epoch) still runs: a pid may be reused.

        Where the machine's clock was set since, it says no of one that does.
        """

    def row(self, pid: int) -> ProcessRow | None:
        """The process, its use of the CPU not measured; None where none runs."""

    def facts(self, pid: int) -> ProcessFacts | None:
        """The process as its machine's kernel has it; None where there is none.

        Raises PermanentError where there is one that this user may not see, TemporaryError where it was another one meanwhile.
        """


class MarkState(StrEnum):
    """What the machine itself knows of an act."""

    HAPPENED = "it ran to its end"
    DID_NOT = "it never began, and never will"
    RUNNING = "it is still running"
    CUT = "it began, and its end was not seen"


@dataclass(frozen=True, slots=True)
class Mark:
    """What a change left on the machine that it was made on."""

    state: MarkState
    code: int | None = None  # the exit code of its program, once it ran to its end; 0 proves the change
    where: str = ""  # in words, where it is no program's
    limited: bool = False  # the machine ended the program, when its time there was over

    @property
    def words(self) -> str:
        """What the mark says, for people."""
        if self.where:
            return self.where
        if self.limited:
            return f"its mark there says: its time there was over, and it was ended, with exit code {self.code}"
        return f"its mark there says: {self.state}" + ("" if self.code is None else f", with exit code {self.code}")


class Transport(Protocol):
    """A transport to one machine. Thread-safe.

    TemporaryError: it cannot be reached just now; PermanentError: it never will be, or what is asked for is not there.
    """

    @property
    def machine(self) -> str:
        """The name of the machine, as it calls itself."""

    @property
    def processes(self) -> Processes:
        """Its processes."""

    @property
    def by_sudo(self) -> bool:
        """Whether changes there are made by sudo, as root, and looks are not."""

    def seen_from(self) -> str | None:
        """The address that the machine sees us come from; None where it is ours. Raises TemporaryError or PermanentError."""

    def leads_to(self, host: str) -> bool:
        """Whether it leads to the machine named `host` in services.yaml."""

    def command(
        self,
        arguments: Sequence[str],
        *,
        cwd: str | None = None,
        environment: Mapping[str, str] | None = None,
        killed_after: timedelta | None = None,
        limit: timedelta | None = None,
        sudoers: str | None = None,
    ) -> Command:
        """A program, by a path or a name on PATH, and its arguments: no shell. Beside `environment` it has PATH.

        `sudoers`: the arguments as a line of the sudoers has to have them, where no two runs have the same.
        `killed_after`: the machine itself ends it so long after its start, whatever becomes of us; it is not begun where it
        may not. `limit`: the same, but for what is done by sudo: that is ended where the sudoers allow us to set a time. Raises
        PermanentError where there is no such program or folder.
        """

    def run(self, arguments: Sequence[str], deadline: float, *, kept: int = KEPT) -> Ended:
        """Run a program that only looks, to its end; `kept` bytes of the end of its output are kept, MOST_KEPT at most.

        Raises as `command` and `Command` do.
        """

    def mark(self, act: str) -> Mark | None:
        """What the machine itself knows of the act with this id; None where the transport leaves no marks.

        Once it was asked, an act that had not begun cannot begin. Raises TemporaryError or PermanentError.
        """

    def connect(self, to: UnixSocket | TcpPort, deadline: float, *, outlives_us: bool = False) -> Connection:
        """Open a connection. Raises OSError by its kind, ValueError where the address cannot be right.

        PermanentError where one by TLS is not trusted, on either side, or its files cannot be used.

        `outlives_us`: prepared for `Connection.outlive_us`.
        """

    def database(self, address: str, deadline: float) -> Database:
        """Open a session with the PostgreSQL server at this libpq connection string, which holds no password.

        It is reached from the machine that Paramedic runs on, wherever the target is. Raises TemporaryError where it cannot be
        reached just now, PermanentError where it refuses us, where a pooler answers, or where it is on another machine than
        the target.
        """

    def folder(self, path: str) -> AbstractContextManager[Folder]:
        """Open a folder. Raises OSError by its kind."""

    def tail(self, path: str, max_bytes: int = 16_384, max_lines: int = 100) -> str:
        """The last whole lines of a regular file, safe to look at.

        Raises TemporaryError where it is not there (it may be in rotation), PermanentError where it cannot be read.
        """

    def log(self, path: str, deadline: float, *, after: LogPosition | None = None, limit: int = LIMIT) -> LogParts:
        """What was written to a log after this position, by one question; without one its last `limit` bytes.

        Where the file at the path is another one by now, the rest of the earlier one comes first, if it is found beside it by
        its inode. Where it was cut short, so does that of the newest copy beside it that is as long. Without a position and with
        a shorter file comes the end of the newest one beside it that is not packed. Raises as `tail` does.
        """

    def read(self, path: str, limit: int = 65_536) -> bytes:
        """A regular file of at most `limit` bytes. Raises as `tail` does, PermanentError where it is larger."""

    def replace(self, path: str, content: bytes) -> None:
        """Replace the file's content atomically; its mode stays. Raises PermanentError, and nothing changed."""
