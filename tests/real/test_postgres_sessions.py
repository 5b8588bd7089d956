"""Sessions of a real PostgreSQL that are idle in a transaction: which are seen, which are ended, and which never."""

import threading
from contextlib import ExitStack, suppress
from typing import Any

import psycopg
import pytest
from databases import Postgres
from postgres_sessions import PATIENCE, Sessions, alive, end, identity, once_idle, pid
from waiting import until

from paramedic.errors import PermanentError, Refused, TargetChanged
from paramedic.integrations.targets import postgres as kind
from paramedic.kinds import postgres_activity as activity
from paramedic.machine.clock import boottime
from paramedic.transports.local import Local

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("patience")]


def test_one_that_is_idle_too_long_is_seen_ended_and_gone(sessions: Sessions) -> None:
    target = sessions.target()
    assert identity(target).state == "up"
    abandoned = sessions.begin()
    number, before = pid(abandoned), once_idle(target, 1)
    assert not kind.running(before)
    changer, after = end(target, before)
    assert not alive(abandoned)
    assert kind.running(after)
    assert kind.restarted(before, after), "it is settled by what is there now"
    assert (
        f"ended 1 session that was idle in a transaction, and the server has it no more: pid {number} (idle for"
        in changer.did
    )
    gone = sessions.server.run(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {number}")
    assert gone == [(0,)]


def test_those_that_are_idle_for_longest_are_ended_first_and_no_more_than_at_most(sessions: Sessions) -> None:
    target = sessions.target(at_most=2)
    opened = [sessions.begin() for _ in range(3)]
    before = once_idle(target, 3)
    first, *named = kind.foreseen(target, Local(), "end_idle_in_transaction", []).splitlines()
    pids = [f"pid {one.info.backend_pid} (idle for " for one in opened[:2]]
    assert first == "2 sessions, idle for longest first"
    assert [one.startswith(pid) for one, pid in zip(named, pids, strict=True)] == [True, True]
    changer, after = end(target, before)
    assert [alive(one) for one in opened] == [False, False, True]
    assert "1 more may be ended and were not" in changer.did
    assert not kind.running(after)


def test_nobody_s_session_is_ended_that_must_not_be(sessions: Sessions) -> None:
    target = sessions.target(spare={"roles": ["etl"], "applications": ["nightly-"]})
    never = {
        "a superuser's": sessions.begin("boss"),
        "of a role that may replicate": sessions.begin("copier"),
        "Paramedic's own, or of its role": sessions.begin("watch"),
        "Paramedic's store": sessions.begin("shop", "paramedic-store"),
        "spared by its role": sessions.begin("etl"),
        "spared by its application": sessions.begin("shop", "nightly-export"),
        "a dump, which waits for its workers": sessions.begin("boss", "pg_dump"),
    }
    theirs = sessions.begin()
    number = f"pid {pid(theirs)} "
    ended, after = end(target, once_idle(target, 5))
    assert {why: alive(one) for why, one in never.items()} == dict.fromkeys(never, True)
    assert number in ended.did
    assert not alive(theirs)
    assert not kind.running(after), "a superuser's session is a person's"
    left = once_idle(target, 4)
    with pytest.raises(Refused, match="1 a superuser's, 1 of a role that may replicate") as refused:
        end(target, left)
    assert "2 Paramedic's own" in str(refused.value)


def test_copies_and_spared_sessions_are_no_fault(sessions: Sessions) -> None:
    target = sessions.target(spare={"roles": ["etl"]})
    sessions.begin("boss", "pg_dump")
    sessions.begin("etl")
    witness = sessions.begin()
    once_idle(target, 1)
    witness.rollback()
    assert identity(target).state == "up"


def test_a_long_transaction_that_is_at_work_is_not_idle(sessions: Sessions) -> None:
    """A batch of short statements: its transaction is old, and it has just done something."""
    target, batch = sessions.target(), sessions.begin()
    once_idle(target, 1)
    began = boottime()
    batch.execute("SELECT 2")
    values, why = kind.sessions(target, Local())
    assert values["idle_for"] <= boottime() - began
    assert f"pid {pid(batch)} is idle in a transaction" in why
    until("it is idle again", lambda: not kind.running(identity(target)))
    batch.commit()
    assert kind.sessions(target, Local()) == ({"idle_for": 0.0}, "no session is idle in a transaction")


def test_a_failed_transaction_that_is_left_open_is_idle_too(sessions: Sessions) -> None:
    target, failed = sessions.target(), sessions.begin()
    with suppress(psycopg.Error):
        failed.execute("SELECT 1 / 0")
    end(target, once_idle(target, 1))
    assert not alive(failed)


def test_one_that_went_on_after_the_last_look_is_left_alone(sessions: Sessions) -> None:
    target, goes_on, abandoned = sessions.target(), sessions.begin(), sessions.begin()
    changer, _ = end(target, once_idle(target, 2), lambda: goes_on.execute("SELECT 2") and None)
    assert alive(goes_on)
    assert not alive(abandoned)
    assert "ended 1 session" in changer.did


def test_where_all_went_on_nothing_is_ended_and_it_says_so(sessions: Sessions) -> None:
    target, goes_on = sessions.target(), sessions.begin()
    with pytest.raises(TargetChanged, match="went on, or ended by itself"):
        end(target, once_idle(target, 1), goes_on.commit)
    assert alive(goes_on)


def test_another_session_than_the_judged_one_is_not_ended(sessions: Sessions) -> None:
    target, judged, other = sessions.target(), sessions.begin(), sessions.begin()
    before = once_idle(target, 2)
    judged.rollback()
    with pytest.raises(TargetChanged, match=f"was pid {pid(judged)} .*, and is pid {pid(other)}"):
        end(target, before, lambda: pytest.fail("nothing is looked at last"))
    assert alive(other)


def test_the_last_look_stops_it(sessions: Sessions) -> None:
    target, abandoned = sessions.target(), sessions.begin()

    def no() -> None:
        raise Refused("the claim is lost")

    with pytest.raises(Refused, match="the claim is lost"):
        end(target, once_idle(target, 1), no)
    assert alive(abandoned)


@pytest.mark.parametrize("other", ["pid", "backend_start", "xact_start", "state_change"])
def test_a_session_is_compared_in_the_statement_that_ends_it(sessions: Sessions, other: str) -> None:
    target, abandoned, decoy = sessions.target(), sessions.begin(), sessions.begin()
    once_idle(target, 2)
    deadline = boottime() + PATIENCE.total_seconds()
    with Local().database(target.words.connection, deadline) as database:
        first, second = activity.idle_in_transaction(database, target.words.scope, deadline)
        fields = {name: getattr(first, name) for name in activity.Idle.__slots__} | {other: getattr(second, other)}
        assert not activity.end(database, target.words.scope, activity.Idle(**fields), deadline)
        assert (alive(abandoned), alive(decoy)) == (True, True)


def test_other_databases_are_not_looked_at_and_a_server_has_them_all(sessions: Sessions, server: Postgres) -> None:
    with ExitStack() as stack:
        other = Sessions(server, stack)
        abandoned = other.begin()
        once_idle(other.target(), 1)
        assert identity(sessions.target()).state == "up"
        whole = sessions.target(database=None, server="main")
        end(whole, once_idle(whole, 1))
        assert not alive(abandoned)
    server.run(f"DROP DATABASE {other.database} WITH (FORCE)")


def test_without_the_right_to_see_nothing_is_called_well(sessions: Sessions) -> None:
    target = sessions.target("blind")
    sessions.begin()
    with pytest.raises(
        PermanentError, match='the role "blind" sees only its own sessions: GRANT pg_monitor TO "blind"'
    ):
        identity(target)
    shown = kind.EVIDENCE["sessions"](target, Local()).text
    assert 'not seen: what sessions of other roles do. GRANT pg_monitor TO "blind" shows it' in shown
    assert "1 not shown to us" in shown


def test_without_the_right_to_end_nothing_is_ended_and_the_grant_is_named(sessions: Sessions) -> None:
    target, abandoned = sessions.target("looker"), sessions.begin()
    grant = 'GRANT pg_signal_backend TO "looker"'
    with pytest.raises(Refused, match="1 of a role that ours may not signal; GRANT pg_signal_backend"):
        end(target, once_idle(target, 1))
    assert alive(abandoned)
    assert grant in str(kind.forbidden(target, Local(), "end_idle_in_transaction"))
    assert grant in kind.EVIDENCE["queries"](target, Local()).text
    assert kind.forbidden(sessions.target(), Local(), "end_idle_in_transaction") is None


def test_evidence_says_who_blocks_whom_and_shows_no_value(sessions: Sessions) -> None:
    target = sessions.target()
    holder = sessions.begin(statement="UPDATE orders SET note = 'card 4929-1' WHERE id = 1")
    waiter = psycopg.connect(sessions.server.url(sessions.database, "etl"), application_name="nightly")
    waiting = threading.Thread(target=_quietly, args=(waiter, "UPDATE orders SET note = 'hunter2'"), daemon=True)
    waiting.start()
    until("one waits", lambda: "waiting for a lock: 1" in kind.EVIDENCE["locks"](target, Local()).text)
    once_idle(target, 1)
    locks, running, shown = (kind.EVIDENCE[name](target, Local()).text for name in ("locks", "queries", "sessions"))
    assert f"pid {pid(holder)}, role shop, till: blocks 1, idle in transaction" in locks
    assert f"pid {pid(waiter)}, role etl, nightly: for" in locks
    assert f"which is kept by pid {pid(holder)}" in locks
    assert f"pid {pid(waiter)}, role etl, nightly: for" in running
    assert "UPDATE orders SET note = ? WHERE id = ?" in locks
    assert "may be ended" in shown
    assert f"pid {pid(holder)}, role shop, till, from 127.0.0.1" in shown
    assert not any(secret in text for secret in ("hunter2", "4929") for text in (locks, running, shown))
    end(target, once_idle(target, 1))
    until("it waits no more", lambda: not waiting.is_alive())
    assert kind.EVIDENCE["locks"](target, Local()).text == "no session waits for a lock"
    waiter.close()


def _quietly(connection: "psycopg.Connection[Any]", statement: str) -> None:
    with suppress(psycopg.Error):
        connection.execute(statement)
