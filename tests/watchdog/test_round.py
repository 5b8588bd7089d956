"""One round of the watchdog: what is silent, what is lost, and that no look stands in another's way."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from incident_states import begun, dispatched, handed_over, ordered, unwritable
from mail_server import text_of
from sqlalchemy import create_engine, text, update
from sqlalchemy.engine import make_url
from watchdog_harness import Harness

from paramedic.incidents.incident import State
from paramedic.store import StoreUnavailable, attempts, inbox, lifecycle, tables
from paramedic.store.messages import queue_internal_alert
from paramedic.upkeep import checkpoints

pytestmark = pytest.mark.real

#: As many as one round takes, for each to fail in its turn.
LOOKS = 19


def vanish(url: str) -> Callable[[], None]:
    """The database is gone, for who is connected and for who would like to; returns what brings it back."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        file = Path(str(parsed.database))
        folder, away = file.parent, file.parent.with_name("away")
        folder.rename(away)
        return lambda: (away.rename(folder), None)[1]
    admin = create_engine(
        parsed.set(drivername="postgresql+psycopg", database="postgres"), isolation_level="AUTOCOMMIT"
    )

    def allow(word: str) -> None:
        with admin.connect() as conn:
            conn.execute(text(f"ALTER DATABASE {parsed.database} ALLOW_CONNECTIONS {word}"))
            if word == "false":
                found = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
                conn.execute(text(found), {"name": parsed.database})
        admin.dispose()

    allow("false")
    return lambda: allow("true")


@pytest.fixture
def store_url(own_url: str, tmp_path: Path) -> str:
    """A database that may be broken, in a folder that may be taken away."""
    if not own_url.startswith("sqlite"):
        return own_url
    (tmp_path / "database").mkdir()
    (tmp_path / "own.db").rename(tmp_path / "database" / "paramedic.db")
    return f"sqlite:///{tmp_path}/database/paramedic.db"


# --- silence ----------------------------------------------------------------------------------------------------------


def test_a_store_that_is_gone_is_told_without_it_and_so_is_its_return(harness: Harness, store_url: str) -> None:
    harness.after(5)
    bring_back = vanish(store_url)
    harness.after(5)
    harness.after(59)
    assert harness.postbox.subjects == []
    harness.after(1)
    harness.after(600)
    assert harness.postbox.subjects == ["[Paramedic] the store does not answer"]
    assert "the store cannot be used now" in text_of(harness.postbox.letters[0])
    harness.after(1200)  # it is said again: nobody can acknowledge it
    assert len(harness.postbox.letters) == 2
    bring_back()
    harness.after(5, looks=2)
    assert harness.postbox.subjects[2:] == ["[Paramedic] the store answers again"]


def test_a_store_that_can_only_be_read_is_as_good_as_gone(harness: Harness, store_url: str) -> None:
    harness.after(5)
    with unwritable(store_url):
        harness.after(5)
        harness.after(61)
    assert harness.postbox.subjects == ["[Paramedic] the store does not answer"]


def test_a_store_that_takes_small_writes_only_is_as_good_as_gone(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a full disk does: the probe's few bytes find room, what the others write does not."""
    ordered(harness.store)

    def full(*_: object, **__: object) -> None:
        raise StoreUnavailable("the store cannot be used now: database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "hand_over", full)
        for _ in range(3):
            harness.after(61)
    assert harness.postbox.subjects == ["[Paramedic] the store does not answer"]
    assert "disk is full" in text_of(harness.postbox.letters[0])
    harness.after(5, looks=3)
    assert "[Paramedic] the store answers again" in harness.postbox.subjects


def test_another_store_in_its_place_is_no_answer(harness: Harness) -> None:
    harness.after(5)
    with harness.store.write() as tx:
        tx.conn.execute(update(tables.meta).values(store="00000000-0000-0000-0000-000000000000"))
    harness.after(5)
    harness.after(61)
    assert "another store stands where store" in text_of(harness.postbox.letters[0])


def test_tables_that_are_missing_end_no_watchdog(harness: Harness) -> None:
    harness.after(5)
    with harness.store.write() as tx:
        tx.conn.execute(text("DROP TABLE meta"))
    harness.after(5)
    harness.after(61)
    assert "[Paramedic] the store does not answer" in harness.postbox.subjects


@pytest.mark.parametrize(("who", "called"), [("api", "the Prefect server"), ("healthz", "the gateway")])
def test_who_does_not_answer_is_told_once_and_again_when_it_does(harness: Harness, who: str, called: str) -> None:
    harness.outside.silent.add(who)
    harness.after(5)
    harness.after(59)
    assert harness.postbox.subjects == []
    for _ in range(10):
        harness.after(1)
    assert harness.postbox.subjects == [f"[Paramedic] {called} does not answer"]
    harness.outside.silent.clear()
    harness.after(5)
    assert harness.postbox.subjects[1:] == [f"[Paramedic] {called} answers again"]
    harness.outside.broken.add(who)
    harness.after(5)
    harness.after(61)
    assert "HTTP 503" in text_of(harness.postbox.letters[2])


def test_a_short_silence_is_no_news(harness: Harness) -> None:
    for _ in range(5):
        harness.outside.silent.update({"api", "healthz"})
        harness.after(5)
        harness.after(50)
        harness.outside.silent.clear()
        harness.after(5)
    assert harness.postbox.letters == []


def test_prefect_and_the_store_gone_together_are_both_told(harness: Harness, store_url: str) -> None:
    harness.after(5)
    bring_back = vanish(store_url)
    harness.outside.silent.update({"api", "healthz"})
    harness.after(5)
    harness.after(61)
    bring_back()
    subjects = {subject.removeprefix("[Paramedic] ") for subject in harness.postbox.subjects}
    assert subjects == {f"{name} does not answer" for name in ("the store", "the Prefect server", "the gateway")}


# --- lost and forgotten -----------------------------------------------------------------------------------------------


def test_an_order_that_prefect_does_not_take_goes_to_a_person_and_is_withdrawn(harness: Harness) -> None:
    incident = ordered(harness.store)
    harness.after(59)
    assert harness.now(incident).state is State.OPEN
    harness.after(2)
    assert (harness.now(incident).because or "").startswith("Prefect could not be asked to run it for 1m: nobody asked")
    with harness.store.read() as tx:
        assert [row.state for row in tx.conn.execute(tables.outbox.select())] == ["withdrawn"]
    assert harness.postbox.recipients == ["ada@example.org"]


def test_so_does_the_order_of_a_later_attempt(harness: Harness) -> None:
    incident = begun(harness.store)
    with harness.store.record() as tx:
        assert attempts.raise_attempt(tx, incident.number, after=1, rungs=1, reason="the run died")
    harness.after(61)
    assert harness.now(incident).state is State.HANDED_OVER


def test_an_incident_on_which_nothing_works_gets_a_person(harness: Harness) -> None:
    closed, lost, fine = (dispatched(harness.store, f"web-1/{name}") for name in "abc")
    harness.outside.runs["run-1"] = "SCHEDULED"
    with harness.store.write() as tx:
        table = tables.attempts
        tx.conn.execute(update(table).where(table.c.incident == closed.number).values(state="closed"))
        tx.conn.execute(update(table).where(table.c.incident == lost.number).values(dispatched_at=None))
    harness.after(5)
    for incident in (closed, lost):
        assert harness.now(incident).because == "nothing works on it: a lost run, or a fault in Paramedic"
    assert harness.now(fine).state is State.OPEN


def test_a_handed_over_incident_of_which_nobody_is_told_climbs_again(harness: Harness) -> None:
    incident = handed_over(harness.store)
    with harness.store.write() as tx:
        tx.conn.execute(update(tables.messages).values(state="withdrawn"))
    harness.after(5)
    assert harness.rungs(incident) == [(0, "withdrawn"), (0, "sent"), (1, "due")]
    harness.after(5)
    assert len(harness.rungs(incident)) == 3


def test_alerts_without_a_decision_are_told(harness: Harness) -> None:
    from incident_states import alert

    inbox.receive(harness.store, [alert(), alert("Another")], source="alertmanager", sender="test")
    harness.after(59)
    assert harness.postbox.letters == []
    harness.after(2, looks=3)
    assert harness.postbox.subjects == ["[Paramedic] Alerts wait for their decision"]
    assert "2 alerts" in text_of(harness.postbox.letters[0])


def test_a_held_alert_is_late_only_after_its_hold(harness: Harness) -> None:
    from incident_states import alert

    inbox.receive(harness.store, [alert()], source="alertmanager", sender="test")
    with harness.store.write() as tx:
        hold = tx.now + timedelta(minutes=10)
        tx.conn.execute(update(tables.inbox).values(state="held", look_again_at=hold))
    harness.after(600)
    harness.after(60)
    assert harness.postbox.letters == []
    harness.after(1)
    assert harness.postbox.subjects == ["[Paramedic] Alerts wait for their decision"]


# --- no look stands in another's way ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(LOOKS))
@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_look_that_fails_stops_no_other_and_is_told(
    harness: Harness, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in its turn: the others take a lost incident to its person, and write the checkpoint."""
    harness.clock.advance(timedelta(seconds=61))
    incident = ordered(harness.store)
    with harness.store.write() as tx:
        tx.conn.execute(update(tables.attempts).values(state="closed"))
    looks = harness.watchdog._looks
    assert len(looks) == LOOKS
    name = looks[number].__name__

    def fault() -> None:
        raise KeyError("what nobody thought of")

    if name == "deliver_due":
        monkeypatch.setattr("paramedic.store.deliveries.due", lambda *_, **__: fault())
    else:
        fault.__qualname__ = name
        looks[number] = fault
    harness.after(5, looks=3)
    failures = [subject for subject in harness.postbox.subjects if "The watchdog fails at" in subject]
    assert len(failures) == 1
    assert name in failures[0]
    pages = [subject for subject in harness.postbox.subjects if subject.endswith(f"({incident.id})")]
    assert len(pages) == (0 if name in ("orphans", "deliver_due") else 1)
    assert (harness.now(incident).state is State.HANDED_OVER) is (name != "orphans")
    assert len(harness.outside.heartbeats) == (name != "heartbeat")
    assert checkpoints.newest(harness.watchdog._settings.checkpoints()) is not None or name == "checkpoint"


def test_a_database_that_cannot_be_written_keeps_no_page_from_its_person(harness: Harness, store_url: str) -> None:
    incident = handed_over(harness.store)
    harness.clock.advance(timedelta(seconds=5))
    with unwritable(store_url):
        harness.store.close()
        harness.after(5)
        assert harness.postbox.subjects == [
            f"[critical] tracking-api on web-1: TrackingApiMemory, handed over ({incident.id})"
        ]
    harness.after(5, looks=2)
    assert len(harness.postbox.letters) == 1
    assert harness.rungs(incident) == [(0, "sent"), (1, "due")]


# --- the heart --------------------------------------------------------------------------------------------------------


def test_the_heart_beats_at_its_pace_and_says_who_is_silent(harness: Harness) -> None:
    for _ in range(24):
        harness.after(5)
    assert len(harness.outside.heartbeats) == 2
    assert harness.outside.heartbeats[0] == {"paramedic": "alive", "silent": []}
    harness.outside.silent.add("api")
    harness.after(60)
    assert harness.outside.heartbeats[2] == {"paramedic": "alive", "silent": ["the Prefect server"]}


def test_the_heart_stops_when_a_store_that_is_gone_can_be_told_to_nobody(harness: Harness, store_url: str) -> None:
    harness.after(5)
    bring_back = vanish(store_url)
    harness.postbox.says["*"] = "550 5.7.1 relaying denied"
    harness.after(5)
    harness.after(60)
    beats = len(harness.outside.heartbeats)
    for _ in range(5):
        harness.after(120)
    assert len(harness.outside.heartbeats) == beats
    harness.postbox.says.clear()
    harness.after(10)
    assert len(harness.outside.heartbeats) == beats + 1
    bring_back()


def test_a_heartbeat_that_does_not_leave_is_logged_without_its_address(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.outside.silent.add("heart")
    harness.after(60)
    assert "the heartbeat could not be sent: RemoteProtocolError" in caplog.text
    assert "/heart" not in caplog.text
    harness.outside.silent.clear()
    harness.after(60)
    assert len(harness.outside.heartbeats) == 1


def test_nothing_to_see_costs_nobody_a_message(harness: Harness) -> None:
    for _ in range(10):
        harness.after(60)
    assert harness.postbox.letters == []
    assert harness.reasons() == []


def test_queued_trouble_leaves_in_the_same_round(harness: Harness) -> None:
    with harness.store.write() as tx:
        queue_internal_alert(tx, subject="A runbook cannot be read", body="line 3", same_within_minutes=10)
    harness.after(5)
    assert harness.postbox.subjects == ["[Paramedic] A runbook cannot be read"]


def test_an_acknowledgement_does_not_last_for_ever(harness: Harness) -> None:
    incident = handed_over(harness.store)
    harness.after(5)
    with harness.store.record() as tx:
        lifecycle.acknowledge(tx, incident.number, by="ada", reason="by the link in a message")
    harness.after(4 * 3600 - 1)
    assert harness.now(incident).state is State.ACKNOWLEDGED
    harness.after(1)
    assert harness.now(incident).state is State.HANDED_OVER
    assert [to for to in harness.postbox.recipients if to == "ada@example.org"] == ["ada@example.org"] * 2
