"""Time-outs for a frozen PostgreSQL, which neither answers nor closes a connection: the client closes it."""

import time
from collections.abc import Generator
from functools import cache
from typing import Any

#: A server may be silent for this long. Longer than statement_timeout, with which one that is well says no by itself.
SECONDS = 12.0


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
