"""One round of the watchdog: what is silent, what is lost, and that no look stands in another's way."""

import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from incident_states import begun, dispatched, handed_over, ordered, unwritable
from mail_server import text_of
from sqlalchemy import create_engine, text, update
from sqlalchemy.engine import make_url
from watchdog_harness import Kennel

from paramedic import keys
from paramedic.audit.chain import RESTORED
from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.settings import Settings
from paramedic.store import StoreUnavailable, attempts, inbox, incidents, kill_switch, lifecycle, tables
from paramedic.store import trail as stored_trail
from paramedic.store.messages import queue_internal_alert
from paramedic.upkeep import checkpoints, segment

pytestmark = pytest.mark.real


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


def test_a_store_that_is_gone_is_told_without_it_and_so_is_its_return(kennel: Kennel, store_url: str) -> None:
    kennel.after(5)
    bring_back = vanish(store_url)
    kennel.after(5)
    kennel.after(59)
    assert kennel.postbox.subjects == []
    kennel.after(1)
    kennel.after(600)
    assert kennel.postbox.subjects == ["[Paramedic] the store does not answer"]
    assert "the store cannot be used now" in text_of(kennel.postbox.letters[0])
    kennel.after(1200)  # it is said again: nobody can acknowledge it
    assert len(kennel.postbox.letters) == 2
    bring_back()
    kennel.after(5, looks=2)
    assert kennel.postbox.subjects[2:] == ["[Paramedic] the store answers again"]


def test_a_store_that_can_only_be_read_is_as_good_as_gone(kennel: Kennel, store_url: str) -> None:
    kennel.after(5)
    with unwritable(store_url):
        kennel.after(5)
        kennel.after(61)
    assert kennel.postbox.subjects == ["[Paramedic] the store does not answer"]


def test_a_store_that_takes_small_writes_only_is_as_good_as_gone(
    kennel: Kennel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a full disk does: the probe's few bytes find room, what the others write does not."""
    ordered(kennel.store)

    def full(*_: object, **__: object) -> None:
        raise StoreUnavailable("the store cannot be used now: database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "hand_over", full)
        for _ in range(3):
            kennel.after(61)
    assert kennel.postbox.subjects == ["[Paramedic] the store does not answer"]
    assert "disk is full" in text_of(kennel.postbox.letters[0])
    kennel.after(5, looks=3)
    assert "[Paramedic] the store answers again" in kennel.postbox.subjects


def test_another_store_in_its_place_is_no_answer(kennel: Kennel) -> None:
    kennel.after(5)
    with kennel.store.write() as tx:
        tx.conn.execute(update(tables.meta).values(store="00000000-0000-0000-0000-000000000000"))
    kennel.after(5)
    kennel.after(61)
    assert "another store stands where store" in text_of(kennel.postbox.letters[0])


def test_tables_that_are_missing_end_no_watchdog(kennel: Kennel) -> None:
    kennel.after(5)
    with kennel.store.write() as tx:
        tx.conn.execute(text("DROP TABLE meta"))
    kennel.after(5)
    kennel.after(61)
    assert "[Paramedic] the store does not answer" in kennel.postbox.subjects


@pytest.mark.parametrize(("who", "called"), [("api", "the Prefect server"), ("healthz", "the gateway")])
def test_who_does_not_answer_is_told_once_and_again_when_it_does(kennel: Kennel, who: str, called: str) -> None:
    kennel.outside.silent.add(who)
    kennel.after(5)
    kennel.after(59)
    assert kennel.postbox.subjects == []
    for _ in range(10):
        kennel.after(1)
    assert kennel.postbox.subjects == [f"[Paramedic] {called} does not answer"]
    kennel.outside.silent.clear()
    kennel.after(5)
    assert kennel.postbox.subjects[1:] == [f"[Paramedic] {called} answers again"]
    kennel.outside.broken.add(who)
    kennel.after(5)
    kennel.after(61)
    assert "HTTP 503" in text_of(kennel.postbox.letters[2])


def test_a_short_silence_is_no_news(kennel: Kennel) -> None:
    for _ in range(5):
        kennel.outside.silent.update({"api", "healthz"})
        kennel.after(5)
        kennel.after(50)
        kennel.outside.silent.clear()
        kennel.after(5)
    assert kennel.postbox.letters == []


def test_prefect_and_the_store_gone_together_are_both_told(kennel: Kennel, store_url: str) -> None:
    kennel.after(5)
    bring_back = vanish(store_url)
    kennel.outside.silent.update({"api", "healthz"})
    kennel.after(5)
    kennel.after(61)
    bring_back()
    said = {subject.removeprefix("[Paramedic] ") for subject in kennel.postbox.subjects}
    assert said == {f"{name} does not answer" for name in ("the store", "the Prefect server", "the gateway")}


# --- lost and forgotten -----------------------------------------------------------------------------------------------


def test_an_order_that_prefect_does_not_take_goes_to_a_person_and_is_withdrawn(kennel: Kennel) -> None:
    incident = ordered(kennel.store)
    kennel.after(59)
    assert kennel.now(incident).state is State.OPEN
    kennel.after(2)
    assert (kennel.now(incident).because or "").startswith("Prefect could not be asked to run it for 1m: nobody asked")
    with kennel.store.read() as tx:
        assert [row.state for row in tx.conn.execute(tables.outbox.select())] == ["withdrawn"]
    assert kennel.postbox.told == ["ada@example.org"]


def test_so_does_the_order_of_a_later_attempt(kennel: Kennel) -> None:
    incident = begun(kennel.store)
    with kennel.store.record() as tx:
        assert attempts.raise_attempt(tx, incident.number, after=1, rungs=1, reason="the run died")
    kennel.after(61)
    assert kennel.now(incident).state is State.HANDED_OVER


def test_an_incident_on_which_nothing_works_gets_a_person(kennel: Kennel) -> None:
    closed, lost, fine = (dispatched(kennel.store, f"web-1/{name}") for name in "abc")
    kennel.outside.runs["run-1"] = "SCHEDULED"
    with kennel.store.write() as tx:
        table = tables.attempts
        tx.conn.execute(update(table).where(table.c.incident == closed.number).values(state="closed"))
        tx.conn.execute(update(table).where(table.c.incident == lost.number).values(dispatched_at=None))
    kennel.after(5)
    for one in (closed, lost):
        assert kennel.now(one).because == "nothing works on it: a lost run, or a fault in Paramedic"
    assert kennel.now(fine).state is State.OPEN


def test_a_handed_over_incident_of_which_nobody_is_told_climbs_again(kennel: Kennel) -> None:
    incident = handed_over(kennel.store)
    with kennel.store.write() as tx:
        tx.conn.execute(update(tables.messages).values(state="withdrawn"))
    kennel.after(5)
    assert kennel.rungs(incident) == [(0, "withdrawn"), (0, "sent"), (1, "due")]
    kennel.after(5)
    assert len(kennel.rungs(incident)) == 3


def test_alerts_without_a_decision_are_told(kennel: Kennel) -> None:
    from incident_states import alert

    inbox.receive(kennel.store, [alert(), alert("Another")], source="alertmanager", sender="test")
    kennel.after(59)
    assert kennel.postbox.letters == []
    kennel.after(2, looks=3)
    assert kennel.postbox.subjects == ["[Paramedic] Alerts wait for their decision"]
    assert "2 alerts" in text_of(kennel.postbox.letters[0])


def test_a_held_alert_is_late_only_after_its_hold(kennel: Kennel) -> None:
    from incident_states import alert

    inbox.receive(kennel.store, [alert()], source="alertmanager", sender="test")
    with kennel.store.write() as tx:
        hold = tx.now + timedelta(minutes=10)
        tx.conn.execute(update(tables.inbox).values(state="held", look_again_at=hold))
    kennel.after(600)
    kennel.after(60)
    assert kennel.postbox.letters == []
    kennel.after(1)
    assert kennel.postbox.subjects == ["[Paramedic] Alerts wait for their decision"]


# --- no look stands in another's way ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(16))
@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_look_that_fails_stops_no_other_and_is_told(
    kennel: Kennel, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in its turn: the others take a lost incident to its person, and write the checkpoint."""
    kennel.clock.advance(timedelta(seconds=61))
    incident = ordered(kennel.store)
    with kennel.store.write() as tx:
        tx.conn.execute(update(tables.attempts).values(state="closed"))
    looks = kennel.watchdog._looks
    assert len(looks) == 16
    name = looks[number].__name__

    def fault() -> None:
        raise KeyError("what nobody thought of")

    if name == "deliver_due":
        monkeypatch.setattr("paramedic.store.deliveries.due", lambda *_, **__: fault())
    else:
        fault.__qualname__ = name
        looks[number] = fault
    kennel.after(5, looks=3)
    failures = [subject for subject in kennel.postbox.subjects if "The watchdog fails at" in subject]
    assert len(failures) == 1
    assert name in failures[0]
    pages = [subject for subject in kennel.postbox.subjects if subject.startswith(f"[{incident.id}]")]
    assert len(pages) == (0 if name in ("orphans", "deliver_due") else 1)
    assert (kennel.now(incident).state is State.HANDED_OVER) is (name != "orphans")
    assert len(kennel.outside.heartbeats) == (name != "heartbeat")
    assert checkpoints.newest(kennel.watchdog._settings.checkpoints()) is not None or name == "checkpoint"


def test_a_database_that_cannot_be_written_keeps_no_page_from_its_person(kennel: Kennel, store_url: str) -> None:
    incident = handed_over(kennel.store)
    kennel.clock.advance(timedelta(seconds=5))
    with unwritable(store_url):
        kennel.store.close()
        kennel.after(5)
        assert kennel.postbox.subjects == [f"[{incident.id}] tracking-api on web-1: handed over"]
    kennel.after(5, looks=2)
    assert len(kennel.postbox.letters) == 1
    assert kennel.rungs(incident) == [(0, "sent"), (1, "due")]


# --- checkpoints ------------------------------------------------------------------------------------------------------


def test_a_checkpoint_is_written_every_minute_if_the_trail_has_grown(kennel: Kennel, settings: Settings) -> None:
    path = settings.checkpoints()
    incident = handed_over(kennel.store)
    kennel.after(59)
    assert checkpoints.read(path) == []
    kennel.after(1)
    [first] = checkpoints.read(path)
    with kennel.store.read() as tx:
        from paramedic.store import trail

        head = trail.head(tx)
    assert head is not None
    assert (first.store, first.seq, first.hash) == (kennel.store.uuid, head.seq, head.hash)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for _ in range(5):
        kennel.after(60)
    assert len(checkpoints.read(path)) == 1
    with kennel.store.record() as tx:
        incidents.note(tx, incident.number, by="ada", text="I look at it.")
    kennel.after(60)
    assert len(checkpoints.read(path)) == 2


def test_a_hundred_entries_do_not_wait_for_the_minute(kennel: Kennel, settings: Settings) -> None:
    incident = handed_over(kennel.store)
    kennel.after(5)
    with kennel.store.record() as tx:
        for number in range(99):
            incidents.note(tx, incident.number, by="ada", text=f"line {number}")
    kennel.after(5)
    [mark] = checkpoints.read(settings.checkpoints())
    assert mark.seq > 100


def test_an_entry_that_a_checkpoint_saw_and_that_changed_is_told(kennel: Kennel, backend: str) -> None:
    handed_over(kennel.store)
    kennel.after(61)
    assert len(kennel.postbox.letters) == 1
    with kennel.store.write() as tx:  # as somebody would who can edit the database
        if backend == "sqlite":
            for (trigger,) in tx.conn.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
                tx.conn.execute(text(f"DROP TRIGGER {trigger}"))
        else:
            tx.conn.execute(text("ALTER TABLE trail DISABLE TRIGGER ALL"))
        tx.conn.execute(text("DELETE FROM trail WHERE seq > 1"))
    kennel.after(5, looks=3)
    assert kennel.postbox.subjects[1:] == ["[Paramedic] The trail is not what its last checkpoint saw"]


def _as_who_edits_the_database(kennel: Kennel, backend: str, *statements: str) -> None:
    with kennel.store.write() as tx:
        if backend == "sqlite":
            for (trigger,) in tx.conn.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
                tx.conn.execute(text(f"DROP TRIGGER {trigger}"))
        else:
            tx.conn.execute(text("ALTER TABLE trail DISABLE TRIGGER ALL"))
            tx.conn.execute(text("ALTER TABLE trail_contents DISABLE TRIGGER ALL"))
        for one in (*statements, "DELETE FROM trail_contents WHERE seq NOT IN (SELECT seq FROM trail)"):
            tx.conn.execute(text(one))


def _restored_by_nobody(kennel: Kennel) -> None:
    with kennel.store.record() as tx:
        stored_trail.append(tx, actor="person:ada", phase="decision", what=RESTORED, reason="-", data={"generation": 2})


_CUT = "DELETE FROM trail WHERE seq > 1"
_ALL = "DELETE FROM trail"
_GENERATION = "UPDATE meta SET generation = 2"


@pytest.mark.parametrize("statements", [(), (_GENERATION,), (_CUT,), (_CUT, _GENERATION), (_ALL, _GENERATION)])
def test_a_generation_that_nobody_signed_is_not_signed_by_the_watchdog_and_stops_all_acts(
    kennel: Kennel, settings: Settings, backend: str, statements: tuple[str, ...]
) -> None:
    incident = handed_over(kennel.store)
    kennel.after(61)
    before = checkpoints.read(settings.checkpoints())
    _as_who_edits_the_database(kennel, backend, *statements)
    _restored_by_nobody(kennel)
    kennel.after(61, looks=3)
    assert kennel.postbox.subjects[1:] == ["[Paramedic] The trail is not what its last checkpoint saw"]
    assert checkpoints.read(settings.checkpoints()) == before
    with kennel.store.read() as tx:
        assert [(one.scope, one.by) for one in kill_switch.standing(tx)] == [(kill_switch.ALL, "watchdog")]
    with pytest.raises(checkpoints.Unproven):
        checkpoints.sign(kennel.store, settings)
    checkpoints.sign(kennel.store, settings, vouched=True)  # a person answers for it
    with kennel.store.record() as tx:
        incidents.note(tx, incident.number, by="ada", text="I looked at it.")
    kennel.after(61)
    assert len(checkpoints.read(settings.checkpoints())) > len(before) + 1


@pytest.mark.parametrize("taken", [(_ALL,), (_CUT,), ("UPDATE trail SET reason = 'x'",)])
def test_checkpoints_that_are_taken_away_with_what_they_saw_are_missed_by_the_witness_beside_the_key(
    kennel: Kennel, settings: Settings, backend: str, taken: tuple[str, ...]
) -> None:
    incident = handed_over(kennel.store)
    kennel.after(61)
    settings.checkpoints().unlink()
    _as_who_edits_the_database(kennel, backend, *taken)
    with kennel.store.record() as tx:
        incidents.note(tx, incident.number, by="ada", text="It goes on.")
    kennel.after(61, looks=2)
    assert "[Paramedic] The trail is not what its last checkpoint saw" in kennel.postbox.subjects
    assert checkpoints.read(settings.checkpoints()) == []
    assert stat.S_IMODE(keys.signing_witness(settings).stat().st_mode) == 0o600


def test_a_store_that_gives_itself_another_name_is_not_signed(kennel: Kennel, settings: Settings, backend: str) -> None:
    incident = handed_over(kennel.store)
    kennel.after(61)
    before = checkpoints.read(settings.checkpoints())
    named = "UPDATE meta SET store = '11111111-0000-4000-8000-000000000000'"
    _as_who_edits_the_database(kennel, backend, _ALL, named)
    with kennel.store.record() as tx:
        incidents.note(tx, incident.number, by="ada", text="It goes on.")
    kennel.after(61, looks=2)
    assert "[Paramedic] The trail is not what its last checkpoint saw" in kennel.postbox.subjects
    assert checkpoints.read(settings.checkpoints()) == before


@pytest.mark.parametrize("signed", [True, False])
def test_what_left_for_a_sealed_segment_is_missed_only_where_nobody_signed_for_it(
    kennel: Kennel, settings: Settings, tmp_path: Path, signed: bool
) -> None:
    incident = handed_over(kennel.store)
    with kennel.store.record() as tx:
        lifecycle.resolve(tx, incident.number, Outcome(Ending.HANDED_OVER, "over"), actor="person:ada")
    kennel.after(61)
    before = len(kennel.postbox.subjects)
    [last] = checkpoints.read(settings.checkpoints())
    key = keys.signing_key(settings) if signed else Ed25519PrivateKey.generate()
    sealed = segment.seal(kennel.store, key, tmp_path / "segment", before=kennel.clock.now())
    assert sealed is not None
    assert sealed.seq == last.seq
    kennel.after(61, looks=2)
    missed = ["[Paramedic] The trail is not what its last checkpoint saw"]
    assert kennel.postbox.subjects[before:] == ([] if signed else missed)
    assert len(checkpoints.read(settings.checkpoints())) == (2 if signed else 1)


def test_a_checkpoint_that_cannot_be_written_is_told(kennel: Kennel, settings: Settings) -> None:
    handed_over(kennel.store)
    settings.checkpoints().mkdir(parents=True)
    kennel.after(61, looks=2)
    assert [s for s in kennel.postbox.subjects if s.startswith("[Paramedic] The watchdog fails at Watchdog.checkpoint")]


# --- the heart --------------------------------------------------------------------------------------------------------


def test_the_heart_beats_at_its_pace_and_says_who_is_silent(kennel: Kennel) -> None:
    for _ in range(24):
        kennel.after(5)
    assert len(kennel.outside.heartbeats) == 2
    assert kennel.outside.heartbeats[0] == {"paramedic": "alive", "silent": []}
    kennel.outside.silent.add("api")
    kennel.after(60)
    assert kennel.outside.heartbeats[2] == {"paramedic": "alive", "silent": ["the Prefect server"]}


def test_the_heart_stops_when_a_store_that_is_gone_can_be_told_to_nobody(kennel: Kennel, store_url: str) -> None:
    kennel.after(5)
    bring_back = vanish(store_url)
    kennel.postbox.says["*"] = "550 5.7.1 relaying denied"
    kennel.after(5)
    kennel.after(60)
    beats = len(kennel.outside.heartbeats)
    for _ in range(5):
        kennel.after(120)
    assert len(kennel.outside.heartbeats) == beats
    kennel.postbox.says.clear()
    kennel.after(10)
    assert len(kennel.outside.heartbeats) == beats + 1
    bring_back()


def test_a_heartbeat_that_does_not_leave_is_logged_without_its_address(
    kennel: Kennel, caplog: pytest.LogCaptureFixture
) -> None:
    kennel.outside.silent.add("heart")
    kennel.after(60)
    assert "the heartbeat did not leave: RemoteProtocolError" in caplog.text
    assert "/heart" not in caplog.text
    kennel.outside.silent.clear()
    kennel.after(60)
    assert len(kennel.outside.heartbeats) == 1


def test_nothing_to_see_costs_nobody_a_message(kennel: Kennel) -> None:
    for _ in range(10):
        kennel.after(60)
    assert kennel.postbox.letters == []
    assert kennel.reasons() == []


def test_queued_trouble_leaves_in_the_same_round(kennel: Kennel) -> None:
    with kennel.store.write() as tx:
        queue_internal_alert(tx, subject="A runbook cannot be read", body="line 3", same_within_minutes=10)
    kennel.after(5)
    assert kennel.postbox.subjects == ["[Paramedic] A runbook cannot be read"]


def test_an_acknowledgement_does_not_last_for_ever(kennel: Kennel) -> None:
    incident = handed_over(kennel.store)
    kennel.after(5)
    with kennel.store.record() as tx:
        lifecycle.acknowledge(tx, incident.number, by="ada", reason="by the link in a message")
    kennel.after(4 * 3600 - 1)
    assert kennel.now(incident).state is State.ACKNOWLEDGED
    kennel.after(1)
    assert kennel.now(incident).state is State.HANDED_OVER
    assert [to for to in kennel.postbox.told if to == "ada@example.org"] == ["ada@example.org"] * 2
