"""Sessions with PostgreSQL servers, by psycopg: one deadline for each wait, read-only, and with no pooler in between."""

import math
import threading
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import cache, partial
from ipaddress import ip_address
from typing import Any, Self

from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.clock import boottime
from paramedic.text.redaction import remember
from paramedic.text.sanitize import one_line

#: The name of our sessions there.
APPLICATION = "paramedic"

#: What a session may do, whatever it is asked. `search_path`: no function of somebody's schema stands for one of the server's.
_KEPT_TO = {
    "default_transaction_read_only": "on",
    "search_path": "pg_catalog",
    "lock_timeout": "1000",
    "idle_in_transaction_session_timeout": "10000",
    "client_encoding": "UTF8",
}

#: What libpq and servers say where another try changes nothing. A server that speaks another language is tried again.
_NO = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "does not exist",
    "is not permitted to log in",
    "permission denied",
    "definition of service",
    "service file",
    "invalid connection option",
    "invalid URI",
    "certificate",
    'missing "="',
)

#: PgBouncer, to a session that wants settings of its own.
_POOLER = "unsupported startup parameter"

#: What a server says that has no connection left for us.
_FULL = ("remaining connection slots", "too many clients", "too many connections")

#: Classes of SQLSTATE that do not say whether the statement was carried out, or say that it may be another time.
_OPEN_CLASSES = ("08", "40", "53", "55", "57", "58", "XX")


class Session:
    """A session with a server; a context manager."""

    def __init__(self, connection: Any, address: str) -> None:
        self._connection, self._address = connection, address

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_here(self) -> bool:
        """Whether the server is on the machine that this process runs on, as far as the address tells."""
        info = self._connection.info
        if info.host.startswith(("/", "@")):
            return True
        with suppress(ValueError):
            return ip_address(info.hostaddr).is_loopback
        return False

    def close(self) -> None:
        """End it. Waits for nothing."""
        with suppress(Exception):  # it may be in any state, and nobody needs it
            self._connection.close()

    def rows(
        self, statement: str, parameters: Mapping[str, Any] | None = None, *, deadline: float
    ) -> list[Mapping[str, Any]]:
        """The rows of one statement. Raises TemporaryError or PermanentError as its interface says."""
        self._connection.until = deadline
        with _told(self._address):
            done = self._connection.execute(statement, parameters or {})
            return list(done.fetchall()) if done.description else []


def connect(address: str, deadline: float) -> Session:
    """A session with the server at this connection string, which names no password. Raises TemporaryError or PermanentError."""
    left = max(0.0, deadline - boottime())
    settings = {**_KEPT_TO, "statement_timeout": str(max(1, round(left * 1000)))}
    given: dict[str, Any] = {
        "application_name": APPLICATION,
        "connect_timeout": max(2, math.ceil(left)),  # libpq knows no shorter one
        "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        "autocommit": True,
        "prepare_threshold": None,
    }
    with _told(address):
        connection = _in_time(partial(_bounded().connect, address, **given), left)
    session = Session(connection, address)
    try:
        _not_pooled(session, connection, deadline)
    except BaseException:
        session.close()
        raise
    return session


def connect_elsewhere(address: str, deadline: float, host: str) -> Session:
    """A session with the server of another host than this machine, from here. Raises as `connect` does.

    PermanentError too where the address leads to this machine: a server here is none of that host's.
    """
    session = connect(address, deadline)
    if not session.is_here:
        return session
    session.close()
    raise PermanentError(
        f"the PostgreSQL at {address} is on the machine that Paramedic runs on, and {host} is another: "
        "write an address of it that can be reached from here"
    )


def _not_pooled(session: Session, connection: Any, deadline: float) -> None:
    """Raises PermanentError where a pooler answers: it says another process of the server than that of our session."""
    if connection.info.password:
        remember(connection.info.password)
    [mine] = session.rows("SELECT pg_backend_pid() AS pid", deadline=deadline)
    if mine["pid"] != connection.info.backend_pid:
        raise _pooler(session._address)  # noqa: SLF001 - of this module


def _pooler(address: str) -> PermanentError:
    return PermanentError(
        f"{address} leads to a pooler, such as PgBouncer, which gives one session of the server to several clients: "
        "write the address of the server itself"
    )


def _in_time(connect: Any, seconds: float) -> Any:
    """The connection, made by a thread: libpq itself waits for the resolver of names, and nothing bounds that."""
    made: Future[Any] = Future()

    def work() -> None:
        try:
            made.set_result(connect())
        except BaseException as error:  # noqa: BLE001 - it is raised where the connection is waited for
            made.set_exception(error)

    threading.Thread(target=work, name="postgresql", daemon=True).start()
    try:
        return made.result(seconds)
    except TimeoutError:
        made.add_done_callback(_discard)
        raise


def _discard(made: "Future[Any]") -> None:
    if made.exception() is None:
        made.result().close()


@cache
def _bounded() -> Any:
    try:
        from psycopg import Connection  # an extra: who has no such target needs none
        from psycopg.rows import dict_row
    except ImportError as error:
        raise PermanentError(
            f"PostgreSQL is asked by psycopg, which is not here: install paramedic[postgres] ({error})"
        ) from error

    class Bounded(Connection[Any]):
        """A connection on which no wait goes on after `until`, a moment of `boottime()`, whatever the server does."""

        until = math.inf

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.row_factory = dict_row

        def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
            return super().wait(_until(gen, self), *args, **kwargs)

    return Bounded


def _until(waits: Generator[Any, Any, Any], connection: Any) -> Generator[Any, Any, Any]:
    """The same waits, up to the connection's deadline. psycopg asks again every tenth of a second. Raises TimeoutError."""
    try:
        wanted = next(waits)
        while True:
            ready = yield wanted
            if boottime() >= connection.until:
                raise TimeoutError
            wanted = waits.send(ready)
    except StopIteration as end:
        return end.value


@contextmanager
def _told(address: str) -> Iterator[None]:
    """Translates what goes wrong. Raises TemporaryError or PermanentError."""
    try:
        yield
    except TimeoutError as error:
        raise TemporaryError(f"PostgreSQL at {address} did not answer in time") from error
    except (TemporaryError, PermanentError):
        raise
    except Exception as error:
        from psycopg import Error

        if not isinstance(error, Error):
            raise
        raise _translated(error, address) from error


def _translated(error: Any, address: str) -> TemporaryError | PermanentError:
    said = one_line(error.diag.message_primary or str(error))[:500]
    words = f"PostgreSQL at {address}: {said}"
    if _POOLER in said:
        return _pooler(address)
    if any(part in said for part in _FULL):
        return TemporaryError(f"{words}: GRANT pg_use_reserved_connections (PostgreSQL 16) keeps one for its role")
    if error.sqlstate is not None:
        return TemporaryError(words) if error.sqlstate.startswith(_OPEN_CLASSES) else PermanentError(words)
    return PermanentError(words) if any(part in said for part in _NO) else TemporaryError(words)
