"""An alert is on disk before its sender hears of it, and waits there until its decision (P1)."""

import os
import signal
from datetime import timedelta
from multiprocessing.connection import Connection

import pytest
from databases import Clock, at_once, prepare_sqlite, processes
from sqlalchemy import event, func, select, text
from store_states import alert

import paramedic.store
from paramedic.alerts.alert import Severity, Status
from paramedic.incidents.tier import URGENCIES
from paramedic.store import Store, deliveries, inbox
from paramedic.store.quarantine import BODY_LIMIT, Unreadable
from paramedic.store.tables import quarantine


def receive(store: Store, *names: str, bad: tuple[Unreadable, ...] = (), keep: int = 1000) -> list[str]:
    return inbox.receive(
        store, [alert(name) for name in names], source="alertmanager", sender="prometheus", bad=bad, keep=keep
    )


def _receive_and_die(url: str, there: Connection) -> None:
    receipts = receive(Store(url), "First", "Second")
    there.send(receipts)
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_has_its_receipt_outlives_the_process_that_gave_it(store_url: str, store: Store) -> None:
    here, there = processes.Pipe(duplex=False)
    child = processes.Process(target=_receive_and_die, args=(store_url, there))
    child.start()
    there.close()
    assert here.poll(30)
    receipts = here.recv()
    child.join(30)
    assert child.exitcode == -signal.SIGKILL
    with store.read() as tx:
        assert [(receipt.id, receipt.alert.name) for receipt in inbox.waiting(tx)] == list(
            zip(receipts, ("First", "Second"), strict=True)
        )


def _write_and_die(url: str, there: Connection) -> None:
    store = Store(url)
    with store.record() as tx:
        tx.conn.execute(text("UPDATE meta SET generation = 99"))
        there.send("written, not committed")
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_process_had_not_committed_never_was(store_url: str, store: Store) -> None:
    here, there = processes.Pipe(duplex=False)
    child = processes.Process(target=_write_and_die, args=(store_url, there))
    child.start()
    there.close()
    assert here.recv() == "written, not committed"
    child.join(30)
    assert len(receive(store, "Next")) == 1  # its lock died with it
    with store.read() as tx:
        assert tx.conn.execute(text("SELECT generation FROM meta")).scalar_one() == 1


def test_a_commit_is_on_disk_and_not_only_on_its_way(
    backend: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paramedic.store, "_prepare_sqlite", prepare_sqlite)
    with store.write() as tx:
        if backend == "sqlite":
            assert tx.conn.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
            assert tx.conn.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL
            assert tx.conn.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
        else:
            assert tx.conn.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"


def test_alerts_wait_in_the_order_they_came_until_they_are_decided(timed: Store) -> None:
    receipts = receive(timed, "A", "B") + receive(timed, "C")
    with timed.write() as tx:
        waiting = inbox.waiting(tx)
        assert [receipt.id for receipt in waiting] == receipts
        assert inbox.depth(tx) == (3, tx.now)
        inbox.decided(tx, waiting[1], verdict="join", reason="the same", incident=1, look_again_at=None)
        assert [receipt.alert.name for receipt in inbox.waiting(tx)] == ["A", "C"]
        assert not inbox.still_waits(tx, waiting[1])
        assert inbox.still_waits(tx, waiting[0])
        assert [receipt.alert.name for receipt in inbox.waiting(tx, limit=1)] == ["A"]


@pytest.mark.parametrize("severity", [Severity.WARNING, Severity.CRITICAL])
def test_what_is_held_is_looked_at_again_when_its_time_comes(timed: Store, clock: Clock, severity: Severity) -> None:
    inbox.receive(timed, [alert("A", severity=severity)], source="alertmanager", sender="prometheus")
    until = clock.now() + timedelta(minutes=3)
    with timed.write() as tx:
        [held] = inbox.waiting(tx)
        inbox.decided(tx, held, verdict="hold", reason="settling", incident=None, look_again_at=until)
        assert inbox.waiting(tx) == []
        assert not inbox.still_waits(tx, held)
        assert inbox.depth(tx) == (0, None)  # it had its first decision
    clock.advance(timedelta(minutes=3))
    with timed.write() as tx:
        assert inbox.waiting(tx) == [held]
        inbox.decided(tx, held, verdict="drop", reason="it is over", incident=None, look_again_at=None)
        assert inbox.waiting(tx) == []


def _receive(url: str, number: int) -> list[str]:
    store = Store(url)
    receipts = [receipt for turn in range(5) for receipt in receive(store, f"{number}-{turn}")]
    store.close()
    return receipts


def test_many_senders_at_once_lose_nothing(store_url: str, store: Store) -> None:
    receipts = [receipt for many in at_once(6, _receive, store_url) for receipt in many]
    with store.read() as tx:
        assert sorted(receipt.id for receipt in inbox.waiting(tx)) == sorted(receipts)


def test_what_cannot_be_read_is_kept_beside_the_good_ones_and_a_person_is_told(timed: Store) -> None:
    bad = (Unreadable('{"labels": 3}', "alerts[1].labels: is missing or no object"), Unreadable("{}", "alerts[2]"))
    assert len(receive(timed, "Good", bad=bad)) == 1
    with timed.read() as tx:
        assert [receipt.alert.name for receipt in inbox.waiting(tx)] == ["Good"]
        kept = tx.conn.execute(select(quarantine.c.error, quarantine.c.sender)).all()
        assert sorted(kept) == [
            ("alerts[1].labels: is missing or no object", "prometheus"),
            ("alerts[2]", "prometheus"),
        ]
        [message] = deliveries.due(tx)
        assert message.kind == "trouble"
        assert "alerts[1].labels" in message.body


def test_the_quarantine_keeps_the_newest_and_no_more(timed: Store, clock: Clock) -> None:
    for turn in range(12):
        receive(timed, bad=(Unreadable("x" * (BODY_LIMIT + turn), f"bad {turn}"),), keep=5)
        clock.advance(timedelta(seconds=1))
    with timed.read() as tx:
        assert sorted(tx.conn.execute(select(quarantine.c.error)).scalars()) == sorted(f"bad {n}" for n in range(7, 12))
        assert tx.conn.execute(select(func.max(func.length(quarantine.c.body)))).scalar_one() == BODY_LIMIT


def test_a_group_of_bad_ones_is_bounded_too(timed: Store) -> None:
    receive(timed, bad=tuple(Unreadable("{}", f"bad {n}") for n in range(20)), keep=5)
    with timed.read() as tx:
        assert tx.conn.execute(select(func.count()).select_from(quarantine)).scalar_one() == 5


def test_what_is_critical_waits_behind_nothing_whether_it_is_new_or_was_held(timed: Store, clock: Clock) -> None:
    def say(name: str, severity: Severity) -> None:
        inbox.receive(timed, [alert(name, severity=severity)], source="alertmanager", sender="a")

    for number in range(30):
        say(f"W{number}", Severity.WARNING)
    say("Held warning", Severity.WARNING)
    say("Held critical", Severity.CRITICAL)
    with timed.write() as tx:
        for receipt in inbox.waiting(tx):
            if receipt.alert.name.startswith("Held"):
                until = tx.now + timedelta(minutes=1)
                inbox.decided(tx, receipt, verdict="hold", reason="r", incident=None, look_again_at=until)
    say("W30", Severity.WARNING)
    say("Critical", Severity.CRITICAL)
    with timed.read() as tx:
        assert [receipt.alert.name for receipt in inbox.waiting(tx, limit=3)] == ["Critical", "W0", "W1"]
    clock.advance(timedelta(minutes=1))
    with timed.read() as tx:
        found = [receipt.alert.name for receipt in inbox.waiting(tx)]
    assert found == ["Held critical", "Critical", *(f"W{n}" for n in range(30)), "Held warning", "W30"]


def test_alerts_with_one_fingerprint_keep_their_order(timed: Store) -> None:
    for status in (Status.FIRING, Status.RESOLVED):
        for severity in (Severity.WARNING, Severity.CRITICAL):
            received = alert(severity.value, severity=severity, status=status)
            inbox.receive(timed, [received], source="alertmanager", sender="a")
    with timed.read() as tx:
        found = [(receipt.alert.name, receipt.alert.status) for receipt in inbox.waiting(tx)]
    firing, resolved = Status.FIRING, Status.RESOLVED
    assert found == [("critical", firing), ("critical", resolved), ("warning", firing), ("warning", resolved)]


def test_every_query_for_the_next_batch_reads_what_it_returns_and_not_the_backlog(timed: Store, backend: str) -> None:
    """By the query plan, which a backlog of any size shares."""
    if backend != "sqlite":
        return
    asked: list[tuple[str, object]] = []
    event.listen(
        timed.engine, "before_cursor_execute", lambda _c, _k, statement, given, _x, _m: asked.append((statement, given))
    )
    receive(timed, "Held")
    with timed.write() as tx:
        [held] = inbox.waiting(tx)
        inbox.decided(tx, held, verdict="hold", reason="r", incident=None, look_again_at=tx.now)
    asked.clear()
    with timed.read() as tx:
        inbox.waiting(tx)
        queries = [query for query in asked if "FROM inbox" in query[0]]
        plans = [
            tx.conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given).all() for statement, given in queries
        ]
    assert [plan[0].detail.split(" (")[0].replace("COVERING ", "") for plan in plans] == [
        f"SEARCH inbox USING INDEX inbox_{name}" for name in ("new", "held", *["due"] * URGENCIES)
    ]
    assert {len(plan) for plan in plans} == {1}, "nothing is sorted"


def test_what_an_older_version_wrote_is_decided_too_and_as_if_it_were_critical(timed: Store) -> None:
    inbox.receive(timed, [alert(severity=Severity.WARNING)], source="alertmanager", sender="a")
    with timed.write() as tx:
        same = "source, sender, received_at, alert, state"
        tx.conn.execute(text(f"INSERT INTO inbox (receipt, {same}) SELECT 'old', {same} FROM inbox"))
    [critical] = receive(timed, "Critical")
    with timed.read() as tx:
        assert [receipt.id for receipt in inbox.waiting(tx)][:2] == ["old", critical]


def test_bad_bodies_of_one_moment_are_one_message_that_counts_them(timed: Store) -> None:
    receive(timed, bad=tuple(Unreadable("{}", f"bad {n}") for n in range(20)))
    with timed.read() as tx:
        [message] = deliveries.due(tx)
    assert "19 more" in message.body
