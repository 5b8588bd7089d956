"""The watchdog signs the trail as it grows, and misses whatever somebody takes from it or puts in its place."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from incident_states import handed_over
from sqlalchemy import text
from watchdog_harness import Harness

from paramedic import keys
from paramedic.audit.chain import RESTORED
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.settings import Settings
from paramedic.store import incidents, kill_switch, lifecycle
from paramedic.store import trail as stored_trail
from paramedic.upkeep import checkpoints, segment

pytestmark = pytest.mark.real


@pytest.fixture
def store_url(own_url: str) -> str:
    """A database that may be broken."""
    return own_url


def test_a_checkpoint_is_written_every_minute_if_the_trail_has_grown(harness: Harness, settings: Settings) -> None:
    path = settings.checkpoints()
    incident = handed_over(harness.store)
    harness.after(59)
    assert checkpoints.read(path) == []
    harness.after(1)
    [first] = checkpoints.read(path)
    with harness.store.read() as tx:
        from paramedic.store import trail

        head = trail.head(tx)
    assert head is not None
    assert (first.store, first.seq, first.hash) == (harness.store.uuid, head.seq, head.hash)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for _ in range(5):
        harness.after(60)
    assert len(checkpoints.read(path)) == 1
    with harness.store.record() as tx:
        incidents.note(tx, incident.number, by="ada", text="I look at it.")
    harness.after(60)
    assert len(checkpoints.read(path)) == 2


def test_a_hundred_entries_do_not_wait_for_the_minute(harness: Harness, settings: Settings) -> None:
    incident = handed_over(harness.store)
    harness.after(5)
    with harness.store.record() as tx:
        for number in range(99):
            incidents.note(tx, incident.number, by="ada", text=f"line {number}")
    harness.after(5)
    [mark] = checkpoints.read(settings.checkpoints())
    assert mark.seq > 100


def test_an_entry_that_a_checkpoint_saw_and_that_changed_is_told(harness: Harness, backend: str) -> None:
    handed_over(harness.store)
    harness.after(61)
    assert len(harness.postbox.letters) == 1
    with harness.store.write() as tx:  # as somebody would who can edit the database
        if backend == "sqlite":
            for (trigger,) in tx.conn.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
                tx.conn.execute(text(f"DROP TRIGGER {trigger}"))
        else:
            tx.conn.execute(text("ALTER TABLE trail DISABLE TRIGGER ALL"))
        tx.conn.execute(text("DELETE FROM trail WHERE seq > 1"))
    harness.after(5, looks=3)
    assert harness.postbox.subjects[1:] == ["[Paramedic] The trail is not what its last checkpoint saw"]


def _as_who_edits_the_database(harness: Harness, backend: str, *statements: str) -> None:
    with harness.store.write() as tx:
        if backend == "sqlite":
            for (trigger,) in tx.conn.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
                tx.conn.execute(text(f"DROP TRIGGER {trigger}"))
        else:
            tx.conn.execute(text("ALTER TABLE trail DISABLE TRIGGER ALL"))
            tx.conn.execute(text("ALTER TABLE trail_contents DISABLE TRIGGER ALL"))
        for statement in (*statements, "DELETE FROM trail_contents WHERE seq NOT IN (SELECT seq FROM trail)"):
            tx.conn.execute(text(statement))


def _restored_by_nobody(harness: Harness) -> None:
    with harness.store.record() as tx:
        stored_trail.append(tx, actor="person:ada", phase="decision", what=RESTORED, reason="-", data={"generation": 2})


_CUT = "DELETE FROM trail WHERE seq > 1"


_ALL = "DELETE FROM trail"


_GENERATION = "UPDATE meta SET generation = 2"


@pytest.mark.parametrize("statements", [(), (_GENERATION,), (_CUT,), (_CUT, _GENERATION), (_ALL, _GENERATION)])
def test_a_generation_that_nobody_signed_is_not_signed_by_the_watchdog_and_stops_all_acts(
    harness: Harness, settings: Settings, backend: str, statements: tuple[str, ...]
) -> None:
    incident = handed_over(harness.store)
    harness.after(61)
    before = checkpoints.read(settings.checkpoints())
    _as_who_edits_the_database(harness, backend, *statements)
    _restored_by_nobody(harness)
    harness.after(61, looks=3)
    assert harness.postbox.subjects[1:] == ["[Paramedic] The trail is not what its last checkpoint saw"]
    assert checkpoints.read(settings.checkpoints()) == before
    with harness.store.read() as tx:
        assert [(pause.scope, pause.by) for pause in kill_switch.standing(tx)] == [(kill_switch.ALL, "watchdog")]
    with pytest.raises(checkpoints.Unproven):
        checkpoints.sign(harness.store, settings)
    checkpoints.sign(harness.store, settings, vouched=True)  # a person answers for it
    with harness.store.record() as tx:
        incidents.note(tx, incident.number, by="ada", text="I looked at it.")
    harness.after(61)
    assert len(checkpoints.read(settings.checkpoints())) > len(before) + 1


@pytest.mark.parametrize("taken", [(_ALL,), (_CUT,), ("UPDATE trail SET reason = 'x'",)])
def test_checkpoints_that_are_taken_away_with_what_they_saw_are_missed_by_the_witness_beside_the_key(
    harness: Harness, settings: Settings, backend: str, taken: tuple[str, ...]
) -> None:
    incident = handed_over(harness.store)
    harness.after(61)
    settings.checkpoints().unlink()
    _as_who_edits_the_database(harness, backend, *taken)
    with harness.store.record() as tx:
        incidents.note(tx, incident.number, by="ada", text="It goes on.")
    harness.after(61, looks=2)
    assert "[Paramedic] The trail is not what its last checkpoint saw" in harness.postbox.subjects
    assert checkpoints.read(settings.checkpoints()) == []
    assert stat.S_IMODE(keys.signing_witness(settings).stat().st_mode) == 0o600


def test_a_store_that_gives_itself_another_name_is_not_signed(
    harness: Harness, settings: Settings, backend: str
) -> None:
    incident = handed_over(harness.store)
    harness.after(61)
    before = checkpoints.read(settings.checkpoints())
    named = "UPDATE meta SET store = '11111111-0000-4000-8000-000000000000'"
    _as_who_edits_the_database(harness, backend, _ALL, named)
    with harness.store.record() as tx:
        incidents.note(tx, incident.number, by="ada", text="It goes on.")
    harness.after(61, looks=2)
    assert "[Paramedic] The trail is not what its last checkpoint saw" in harness.postbox.subjects
    assert checkpoints.read(settings.checkpoints()) == before


@pytest.mark.parametrize("signed", [True, False])
def test_what_left_for_a_sealed_segment_is_missed_only_where_nobody_signed_for_it(
    harness: Harness, settings: Settings, tmp_path: Path, signed: bool
) -> None:
    incident = handed_over(harness.store)
    with harness.store.record() as tx:
        lifecycle.resolve(tx, incident.number, Outcome(Ending.HANDED_OVER, "over"), actor="person:ada")
    harness.after(61)
    before = len(harness.postbox.subjects)
    [last] = checkpoints.read(settings.checkpoints())
    key = keys.signing_key(settings) if signed else Ed25519PrivateKey.generate()
    sealed = segment.seal(harness.store, key, tmp_path / "segment", before=harness.clock.now())
    assert sealed is not None
    assert sealed.seq == last.seq
    harness.after(61, looks=2)
    missed = ["[Paramedic] The trail is not what its last checkpoint saw"]
    assert harness.postbox.subjects[before:] == ([] if signed else missed)
    assert len(checkpoints.read(settings.checkpoints())) == (2 if signed else 1)


def test_a_checkpoint_that_cannot_be_written_is_told(harness: Harness, settings: Settings) -> None:
    handed_over(harness.store)
    settings.checkpoints().mkdir(parents=True)
    harness.after(61, looks=2)
    assert [
        s for s in harness.postbox.subjects if s.startswith("[Paramedic] The watchdog fails at Watchdog.checkpoint")
    ]
