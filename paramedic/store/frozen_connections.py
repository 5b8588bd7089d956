"""Time-outs for a connection to PostgreSQL whose other end is silent: a frozen server, a lost machine, a frozen process."""

import time
from collections.abc import Generator
from functools import cache
from typing import Any

#: A server may be silent for this long. Longer than statement_timeout, with which one that is well says no by itself.
SECONDS = 12.0

#: A server may take so long to accept a connection.
CONNECT_SECONDS = 3

#: Either end of a connection that carries nothing asks after so many seconds whether the other is there, so often, and gives
#: up: 25 s in all. The operating systems' own is two hours.
KEEPALIVES: dict[str, Any] = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}

#: What a session of the store asks of the server. A machine without power and a frozen process keep the trail, which has one
#: writer at a time, no longer than this.
_SESSION = {
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
    **{f"tcp_{word}": str(value) for word, value in KEEPALIVES.items()},
    "tcp_user_timeout": "25s",
}


def settings() -> dict[str, Any]:
    """What psycopg connects with."""
    options = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    return {"connect_timeout": CONNECT_SECONDS, "options": options, "tcp_user_timeout": 25_000, **KEEPALIVES}


def connect(_dialect: Any, _record: Any, args: tuple[Any, ...], given: dict[str, Any]) -> Any:
    """SQLAlchemy's `do_connect`: a connection on which every wait ends, at the latest with an OperationalError."""
    return _impatient().connect(*args, **given)


@cache
def _impatient() -> Any:
    # psycopg is an extra: who keeps the store in SQLite has none.
    from psycopg import Connection, OperationalError

    class Impatient(Connection[Any]):
        """A connection that times out where psycopg would wait for ever: statements, commits and pings all go through `wait`.

        No thread and no lock of its own: a wait may begin anywhere, even in the garbage collector's end of a lost transaction.
        """

        def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
            return super().wait(self._not_for_ever(gen), *args, **kwargs)

        def _not_for_ever(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
            """What psycopg waits for. It also says when nothing has come, ten times in a second."""
            until = time.monotonic() + SECONDS
            try:
                awaited = next(gen)
                while True:
                    came = yield awaited
                    if not came and time.monotonic() > until:
                        self.pgconn.finish()
                        raise OperationalError(
                            f"PostgreSQL has not answered for {SECONDS:g} s; the connection is closed"
                        )
                    awaited = gen.send(came)
            except StopIteration as done:
                return done.value

    return Impatient
