"""A read of the store is one moment, and only a read."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, update

from paramedic.machine import open_transaction
from paramedic.store import Store, StoreUnavailable, leases
from paramedic.store.tables import leases as table


def _names(tx_conn: object) -> int:
    return tx_conn.execute(select(func.count()).select_from(table)).scalar_one()  # type: ignore[attr-defined, no-any-return]


def _commit(store: Store, name: str) -> None:
    def work() -> None:
        with store.write() as tx:
            leases.take(tx, name, holder="other", lease=timedelta(minutes=1))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_two_looks_in_one_read_see_one_moment_whatever_is_committed_between_them(store: Store) -> None:
    with store.read() as tx:
        before = _names(tx.conn)
        _commit(store, "meanwhile")
        assert _names(tx.conn) == before
    with store.read() as tx:
        assert _names(tx.conn) == before + 1


def test_the_moment_of_a_read_is_its_start_and_not_its_first_query(store: Store) -> None:
    with store.read() as tx:
        _commit(store, "meanwhile")
        assert _names(tx.conn) == 0


def test_two_tables_are_seen_at_one_moment(store: Store) -> None:
    """What one transaction commits into two tables is seen in both or in neither."""
    with store.read() as tx:
        _commit(store, "one")
        first = leases.held(tx, "one", holder="other")
        _commit(store, "two")
        assert (first, leases.held(tx, "two", holder="other")) == (False, False)


def test_a_read_writes_nothing_and_leaves_the_connection_fit_for_writing(store: Store) -> None:
    row = {"name": "x", "holder": "me"}
    with store.write() as tx:
        tx.conn.execute(insert(table).values(**row, until=tx.now))
    for statement in (insert(table).values(**row | {"name": "y"}), update(table).values(holder="you")):
        with pytest.raises(StoreUnavailable, match=r"(?i)read.?only"), store.read() as tx:
            tx.conn.execute(statement.values(until=tx.now))
    with store.write() as tx:
        assert tx.conn.execute(update(table).values(holder="you")).rowcount == 1


@pytest.mark.parametrize("way", ["read", "write", "record"])
def test_a_thread_knows_that_it_is_inside_a_transaction_and_others_are_not(store: Store, way: str) -> None:
    seen: list[object] = []
    open_transaction.must_be_closed("the disk is read")
    with getattr(store, way)():
        with pytest.raises(open_transaction.InsideTransaction, match="the disk is read inside a transaction"):
            open_transaction.must_be_closed("the disk is read")
        other = threading.Thread(target=lambda: seen.append(open_transaction.strongest()))
        other.start()
        other.join()
    assert seen == [None]
    assert open_transaction.strongest() is None


def test_a_transaction_that_fails_is_over_as_well(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.record(), store.read():
        raise ZeroDivisionError
    open_transaction.must_be_closed("the disk is read")
