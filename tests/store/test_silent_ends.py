"""A session of PostgreSQL whose other end is silent: what it holds is free again soon."""

import os
import socket
from collections.abc import Iterator

import psycopg
import pytest
from databases import Postgres
from required import missing
from store_states import opened, recorded

from paramedic.store import Store, StoreUnavailable, frozen_connections


@pytest.fixture
def postgres_url(postgres: Postgres, emptying: str) -> Iterator[str]:
    yield postgres.url("paramedic")
    postgres.run(emptying, "paramedic")


def record(store: Store, target: str = "web-1/api") -> int:
    with store.record() as tx:
        return opened(tx, target=target)


@pytest.fixture
def soon_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same settings, of a second or two: what they are is seen in the server below."""
    for name in ("tcp_keepalives_idle", "tcp_keepalives_interval", "idle_in_transaction_session_timeout"):
        monkeypatch.setitem(frozen_connections._SESSION, name, "2s" if name.startswith("idle") else "1")


@pytest.mark.usefixtures("soon_noticed")
def test_a_process_that_froze_while_it_wrote_the_trail_keeps_it_from_no_other_for_long(postgres_url: str) -> None:
    frozen, store = Store(postgres_url), Store(postgres_url)
    with pytest.raises(StoreUnavailable, match="idle-in-transaction"), frozen.record() as tx:  # noqa: PT012 - in the middle
        opened(tx)
        record(store)
        opened(tx, target="web-2/api")
    assert recorded(store) == ["incident.opened", "attempt.raised"]
    record(frozen, target="web-3/api")
    frozen.close()
    store.close()


@pytest.mark.usefixtures("soon_noticed")
def test_a_machine_that_was_lost_while_it_wrote_the_trail_keeps_it_from_no_other_for_long(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(frozen_connections._SESSION, "idle_in_transaction_session_timeout", "0")
    lost, store = Store(postgres_url), Store(postgres_url)
    with pytest.raises(StoreUnavailable), lost.record() as tx:  # noqa: PT012 - it is lost in the middle
        opened(tx)
        lose(tx.conn.connection.driver_connection)
        record(store)
        opened(tx, target="web-2/api")
    assert recorded(store) == ["incident.opened", "attempt.raised"]
    lost.close()
    store.close()


def lose(connection: psycopg.Connection) -> None:
    """End this side of the connection as a loss of power does: nothing is sent to the other, which waits on."""
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        try:
            line.setsockopt(socket.IPPROTO_TCP, 19, 1)  # TCP_REPAIR
        except PermissionError:
            missing("a connection can be ended silently only with CAP_NET_ADMIN")
        os.dup2(os.open(os.devnull, os.O_RDWR), connection.fileno())


def test_each_end_of_a_session_asks_whether_the_other_is_still_there(postgres_url: str) -> None:
    store = Store(postgres_url)
    with store.read() as tx:
        names = "tcp_keepalives_idle tcp_keepalives_interval tcp_keepalives_count tcp_user_timeout"
        names += " idle_in_transaction_session_timeout"
        found = [tx.conn.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names.split()]
        assert found == ["10", "5", "3", "25000", "30s"]
        with socket.socket(fileno=os.dup(tx.conn.connection.driver_connection.fileno())) as line:
            ours = [line.getsockopt(socket.IPPROTO_TCP, one) for one in (socket.TCP_KEEPIDLE, socket.TCP_USER_TIMEOUT)]
            assert ours == [10, 25_000]
    store.close()
