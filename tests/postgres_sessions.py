"""Sessions of a real PostgreSQL that are idle in a transaction, and a way to it that is cut."""

import itertools
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import timedelta
from typing import Any

import psycopg
from databases import Postgres
from waiting import until

from paramedic.integrations.targets.postgres import Changer, Reader, Words
from paramedic.remediation.target import Identity, Target
from paramedic.transports.local import Local

#: A session counts once it has been idle for so long.
LONG = timedelta(milliseconds=150)

#: Each with what it may; `watch` is Paramedic's.
ROLES = """
    CREATE ROLE watch LOGIN; GRANT pg_monitor, pg_signal_backend TO watch;
    CREATE ROLE blind LOGIN; GRANT pg_signal_backend TO blind;
    CREATE ROLE looker LOGIN; GRANT pg_monitor TO looker;
    CREATE ROLE shop LOGIN; CREATE ROLE etl LOGIN; CREATE ROLE boss LOGIN SUPERUSER; CREATE ROLE copier LOGIN REPLICATION;
"""

_number = itertools.count(1)


class Sessions:
    """Sessions of applications, in one database of their own."""

    def __init__(self, server: Postgres, stack: ExitStack) -> None:
        self.server, self._stack = server, stack
        self.database = f"idle_{next(_number)}"
        server.run(f"CREATE DATABASE {self.database}")
        server.run("CREATE TABLE orders (id int, note text); GRANT ALL ON orders TO PUBLIC", self.database)
        server.run("INSERT INTO orders VALUES (1)", self.database)

    def begin(self, role: str = "shop", name: str = "till", statement: str = "SELECT 1") -> "psycopg.Connection[Any]":
        """A session that is idle in a transaction from now on."""
        connection = psycopg.connect(self.server.url(self.database, role), application_name=name)
        self._stack.callback(connection.close)
        connection.execute(statement)
        return connection

    def target(self, role: str = "watch", address: str = "", **words: Any) -> Target:
        address = address or f"postgresql://{role}@127.0.0.1:{self.server.port}"
        written = Words(**{"database": self.database, "address": address, **words})
        written = written.model_copy(update={"idle_in_transaction": LONG})
        return Target(
            f"db-1/postgres:{self.database}", "shop", "db-1", "postgres", self.database, address, words=written
        )


#: A busy machine takes longer than a look of the product may.
PATIENCE = timedelta(seconds=60)


def alive(connection: "psycopg.Connection[Any]") -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def pid(connection: "psycopg.Connection[Any]") -> int:
    return connection.info.backend_pid


def identity(target: Target) -> Identity:
    return Reader(target, Local(), PATIENCE).identity()


def once_idle(target: Target, count: int) -> Identity:
    """The identity once so many sessions have been idle for too long."""
    words = f"{count} session{'s' if count > 1 else ''} idle in a transaction"
    return until(words, lambda: found if (found := identity(target)).state.startswith(words) else None)


def end(target: Target, expected: Identity, last_look: Callable[[], None] = lambda: None) -> tuple[Changer, Identity]:
    changer = Changer(target, Local(), PATIENCE)
    return changer, changer.end_idle_in_transaction(expected, last_look)


class Cut:
    """A way to the server that is cut once a statement with these bytes was sent on, before its answer.

    `silent`: it is not cut, and that statement and all after it are lost.
    """

    def __init__(self, port: int, behind: bytes, *, silent: bool = False) -> None:
        self._port, self._behind, self._silent = port, behind, silent
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                threading.Thread(target=self._back, args=(server, client), daemon=True).start()
                threading.Thread(target=self._on, args=(client, server), daemon=True).start()

    def _on(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65_536):
                if self._behind in data and self._silent:
                    threading.Event().wait()
                if self._behind in data:
                    client.shutdown(socket.SHUT_RDWR)
                    server.sendall(data)
                    return
                server.sendall(data)
        server.close()

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65_536):
                client.sendall(data)
