"""The trail only grows, in one chain, whoever writes at the same time."""

import pytest
from databases import at_once
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError
from store_states import look_at_the_trail, opened, recorded

from paramedic.store import Store, Tx, incidents, trail
from paramedic.store.tables import trail as table
from paramedic.store.tables import trail_contents


def _append(tx: Tx, number: int, turn: int) -> int:
    return trail.append(
        tx,
        actor=f"writer {number}",
        phase="decision",
        what="tried",
        reason=f"turn {turn}",
        data={"turn": turn},
        content={"said": f"{number}/{turn}"},
    )


def _write(url: str, times: int, number: int) -> list[int]:
    store = Store(url)
    written = []
    for turn in range(times):
        with store.record() as tx:
            written.append(_append(tx, number, turn))
    store.close()
    return written


def test_eight_processes_write_one_chain(store_url: str, store: Store) -> None:
    numbers = at_once(8, _write, store_url, 50)
    found = look_at_the_trail(store)
    assert found.faults == ()
    assert found.entries == 400
    assert sorted(seq for written in numbers for seq in written) == list(range(1, 401))


FORGERIES = {
    "sqlite": (
        "INSERT OR REPLACE INTO trail SELECT * FROM trail WHERE seq = 2",
        "REPLACE INTO trail SELECT * FROM trail WHERE seq = 2",
        "UPDATE OR REPLACE trail SET seq = 2 WHERE seq = 1",
        "INSERT INTO trail SELECT * FROM trail WHERE seq = 2 ON CONFLICT (seq) DO UPDATE SET reason = 'another'",
    ),
    "postgresql": (
        "TRUNCATE trail",
        "TRUNCATE trail, trail_contents CASCADE",
        "INSERT INTO trail SELECT * FROM trail WHERE seq = 2 ON CONFLICT (seq) DO UPDATE SET reason = 'another'",
        "MERGE INTO trail USING trail AS old ON trail.seq = old.seq WHEN MATCHED THEN DELETE",
    ),
}


def test_the_database_refuses_to_change_an_entry(backend: str, store: Store) -> None:
    with store.record() as tx:
        opened(tx)
    before = recorded(store)
    for statement in (
        "UPDATE trail SET reason = 'another'",
        "UPDATE trail SET seq = seq + 1000",
        "DELETE FROM trail",
        "DELETE FROM trail WHERE seq = 2",
        *FORGERIES[backend],
    ):
        with pytest.raises(DBAPIError, match="the trail only grows"), store.write() as tx:
            tx.conn.execute(text(statement))
    assert recorded(store) == before
    assert look_at_the_trail(store).verified


def test_an_entry_is_written_with_what_it_records_or_not_at_all(store: Store) -> None:
    with pytest.raises(RuntimeError, match="in the middle"), store.record() as tx:  # noqa: PT012 - a story cut short
        opened(tx)
        raise RuntimeError("in the middle")
    assert recorded(store) == []
    with store.read() as tx:
        assert incidents.listed(tx) == []
    with store.record() as tx:
        opened(tx)
    assert look_at_the_trail(store).verified


def test_what_the_chain_cannot_hold_undoes_what_it_was_about(store: Store) -> None:
    with pytest.raises(ValueError, match="canonical"), store.record() as tx:  # noqa: PT012 - a story cut short
        opened(tx)
        trail.append(tx, actor="a", phase="outcome", what="w", reason="r", data={"huge": 2**60})
    assert recorded(store) == []


def test_erased_content_leaves_a_chain_that_verifies(store: Store) -> None:
    with store.record() as tx:
        number = opened(tx)
        incidents.note(tx, number, by="ada", text="Grace called about it")
        seq = trail.head(tx).seq  # type: ignore[union-attr]
    assert look_at_the_trail(store).erased == ()
    with store.write() as tx:
        tx.conn.execute(trail_contents.delete().where(trail_contents.c.seq == seq))
    found = look_at_the_trail(store)
    assert found.verified
    assert found.erased == (seq,)


def test_changed_content_is_named(store: Store) -> None:
    with store.record() as tx:
        incidents.note(tx, opened(tx), by="ada", text="Grace called about it")
        seq = trail.head(tx).seq  # type: ignore[union-attr]
    with store.write() as tx:
        tx.conn.execute(trail_contents.update().where(trail_contents.c.seq == seq).values(content='{"note": "no"}'))
    assert [fault.seq for fault in look_at_the_trail(store).faults] == [seq]


def test_an_entry_changed_behind_the_triggers_is_named(backend: str, own_url: str) -> None:
    store = Store(own_url)
    with store.record() as tx:
        opened(tx)
    off = "DROP TRIGGER trail_refuses_update" if backend == "sqlite" else "ALTER TABLE trail DISABLE TRIGGER ALL"
    with store.write() as tx:
        tx.conn.execute(text(off))
        tx.conn.execute(text("UPDATE trail SET reason = 'another' WHERE seq = 1"))
    assert [fault.seq for fault in look_at_the_trail(store).faults] == [1]
    store.close()


def test_an_entry_put_at_the_end_by_hand_is_named(store: Store) -> None:
    with store.record() as tx:
        opened(tx)
        row = dict(tx.conn.execute(select(table).order_by(table.c.seq.desc()).limit(1)).one()._mapping)
    with store.write() as tx:
        tx.conn.execute(insert(table).values(row | {"seq": row["seq"] + 1}))
    assert {fault.seq for fault in look_at_the_trail(store).faults} == {row["seq"] + 1}


def test_a_long_trail_is_read_while_its_contents_are_looked_up(store: Store) -> None:
    with store.record() as tx:
        for turn in range(600):
            _append(tx, 0, turn)
    with store.read() as tx:
        seen = 0
        for entry in trail.entries(tx):
            assert trail.content(tx, entry.seq) is not None
            seen += 1
        assert incidents.listed(tx) == []
    assert seen == 600
    assert look_at_the_trail(store).verified


def test_entries_are_read_in_pages(store: Store) -> None:
    with store.record() as tx:
        for turn in range(7):
            _append(tx, 0, turn)
    with store.read() as tx:
        assert [entry.seq for entry in trail.entries(tx, after=2, limit=3)] == [3, 4, 5]
