"""Many requests are one transaction, and each is answered for itself, after its own commit."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from databases import migrated
from incident_states import unwritable
from sqlalchemy import Engine, event, select
from sqlalchemy.exc import IntegrityError
from store_states import alert

from paramedic.alerts.alert import Severity
from paramedic.gateway import group_commit
from paramedic.gateway.group_commit import GroupCommit, QueueFull
from paramedic.store import Store, StoreUnavailable, connect, inbox
from paramedic.store.inbox import Delivery
from paramedic.store.quarantine import BODY_LIMIT, Unreadable
from paramedic.store.tables import inbox as table
from paramedic.store.tables import quarantine


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return connect(migrated(tmp_path / "paramedic.db"))


@pytest.fixture
def store(engine: Engine) -> Iterator[Store]:
    opened = Store.on(engine, uuid="a-store")
    yield opened
    opened.close()


def delivery(*names: str, severity: Severity = Severity.WARNING, bad: Sequence[Unreadable] = ()) -> Delivery:
    alerts = [alert(name, severity=severity) for name in names]
    return inbox.prepare(alerts, source="alertmanager", sender="prometheus", bad=bad)


def names(store: Store) -> list[str]:
    with store.read() as tx:
        return [row.alert["name"] for row in tx.conn.execute(select(table).order_by(table.c.position))]


def _commit(commits: GroupCommit, deliveries: Sequence[Delivery]) -> list[Any]:
    """All at once; what became of each."""

    async def together() -> list[Any]:
        return await asyncio.gather(*map(commits.commit, deliveries), return_exceptions=True)

    return asyncio.run(together())


def _until_taken(commits: GroupCommit) -> None:
    """Until the writer has what was queued."""
    while commits._others:
        time.sleep(0.001)


def test_what_comes_while_another_writes_is_one_transaction(engine: Engine, store: Store) -> None:
    written: list[int] = []
    event.listen(engine, "commit", lambda conn: written.append(1))
    commits = GroupCommit(store)

    async def behind_another() -> None:
        with unwritable(str(engine.url)):
            waiting = [asyncio.create_task(commits.commit(delivery(f"A{number}"))) for number in range(200)]
            await asyncio.sleep(0.05)
            assert not any(commit.done() for commit in waiting), "a 202 before its commit"
        await asyncio.gather(*waiting)

    asyncio.run(behind_another())
    assert sorted(names(store)) == sorted(f"A{number}" for number in range(200))
    assert len(written) <= 2, "the one that was begun, and one for all the others"


def test_while_the_store_is_away_each_is_refused_and_nothing_of_it_is_kept(engine: Engine, store: Store) -> None:
    commits = GroupCommit(store)
    with unwritable(str(engine.url)):
        errors = _commit(commits, [delivery(f"A{number}") for number in range(20)])
    assert {type(error) for error in errors} == {StoreUnavailable}
    assert names(store) == []
    assert _commit(commits, [delivery("After")]) == [None]
    assert names(store) == ["After"]


def test_one_that_the_database_refuses_fails_none_of_the_others(store: Store) -> None:
    first, twice, last = delivery("First"), delivery("Twice"), delivery("Last")
    again = replace(twice, rows=({**twice.rows[0]},))  # its receipt is there already
    assert _commit(GroupCommit(store), [twice]) == [None]
    errors = _commit(GroupCommit(store), [first, again, last])
    assert (errors[0], errors[2]) == (None, None)
    assert isinstance(errors[1], IntegrityError)
    assert names(store) == ["Twice", "First", "Last"]


def test_a_sender_that_went_away_keeps_nobody_from_an_answer(engine: Engine, store: Store) -> None:
    commits = GroupCommit(store)

    async def one_goes_away() -> None:
        with unwritable(str(engine.url)):
            begun = asyncio.create_task(commits.commit(delivery("Begun")))
            await asyncio.sleep(0)
            await asyncio.to_thread(_until_taken, commits)
            gone = asyncio.create_task(commits.commit(delivery("Gone")))
            stays = asyncio.create_task(commits.commit(delivery("Stays")))  # in one transaction with it
            await asyncio.sleep(0)
            gone.cancel()
        await asyncio.wait_for(asyncio.gather(begun, stays), 20)

    asyncio.run(one_goes_away())
    assert names(store) == ["Begun", "Gone", "Stays"]


def test_what_is_critical_is_written_first_where_not_all_fits_into_one_transaction(
    engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_ROWS", 10)
    commits = GroupCommit(store)

    async def behind_another() -> None:
        with unwritable(str(engine.url)):
            waiting = [asyncio.create_task(commits.commit(delivery("Begun")))]
            await asyncio.sleep(0)
            await asyncio.to_thread(_until_taken, commits)
            waiting += [asyncio.create_task(commits.commit(delivery(f"W{number}"))) for number in range(40)]
            waiting.append(asyncio.create_task(commits.commit(delivery("Critical", severity=Severity.CRITICAL))))
            await asyncio.sleep(0.02)
        await asyncio.gather(*waiting)

    asyncio.run(behind_another())
    assert names(store)[:3] == ["Begun", "Critical", "W0"]


def test_more_than_is_held_is_refused_until_there_is_room_again(engine: Engine, store: Store) -> None:
    commits = GroupCommit(store, characters=3 * delivery("A0").size)
    with unwritable(str(engine.url)):
        errors = _commit(commits, [delivery(f"A{number}") for number in range(5)])
    assert [type(error) for error in errors] == [StoreUnavailable] * 3 + [QueueFull] * 2
    assert _commit(commits, [delivery("B0"), delivery("B1"), delivery("B2")]) == [None] * 3
    assert _commit(commits, [delivery(*(f"C{number}" for number in range(50)))]) == [None], "larger than all the room"
    assert _commit(commits, [delivery("D0"), delivery("D1"), delivery("D2")]) == [None] * 3


def test_in_the_transaction_nothing_is_redacted_that_a_sender_makes_long(
    engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "password=hunter22 " * 60_000
    ready = delivery("A" * 2000, bad=[Unreadable(body, "body: is no JSON")])
    read: list[int] = []
    redact = inbox.redacted.__globals__["redact"]
    for module in ("paramedic.text.redaction", "paramedic.store.tables.columns", "paramedic.store.inbox"):
        monkeypatch.setattr(f"{module}.redact", lambda text: read.append(len(text)) or redact(text))
    assert _commit(GroupCommit(store), [ready]) == [None]
    assert max(read, default=0) < 1000
    with store.read() as tx:
        [kept] = tx.conn.execute(select(quarantine.c.body)).scalars()
    assert len(kept) == BODY_LIMIT
    assert "hunter22" not in kept
