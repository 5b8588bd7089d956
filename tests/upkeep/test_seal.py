"""Old entries leave the trail as a signed segment, whole and readable, or stay where they are."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from boundaries import killed_at
from command_line import paramedic
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from databases import Clock, Postgres
from incident_states import handed_over, ordered
from sqlalchemy import delete, select
from sqlalchemy.exc import DBAPIError

from paramedic import keys
from paramedic.audit.verification import Verification, verify
from paramedic.errors import Refused
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.settings import Settings
from paramedic.store import Store, incidents, lifecycle, seals
from paramedic.store import trail as stored_trail
from paramedic.store.migrations import migrate
from paramedic.store.tables import trail as table
from paramedic.store.tables import trail_contents
from paramedic.upkeep import checkpoints, segment
from paramedic.upkeep.backup import back_up
from paramedic.upkeep.restore import restore
from paramedic.upkeep.segment import BadSegment

VERIFIER = Path(__file__).parents[2] / "docs" / "verify_trail.py"


@pytest.fixture
def settings(own_url: str, tmp_path: Path) -> Settings:
    """A store with an incident that ended on the first day, and one that is open since the second."""
    data = tmp_path / "data"
    data.mkdir()
    settings = Settings(data=data, store_url=own_url)
    clock = Clock()
    store = Store(own_url, now=clock.now)
    ended = handed_over(store)
    with store.record() as tx:
        incidents.note(tx, ended.number, by="ada", text="what a person wrote")
        lifecycle.resolve(tx, ended.number, Outcome(Ending.HANDED_OVER, "over"), actor="person:ada")
    checkpoints.write(store, keys.signing_key(settings), settings.checkpoints())
    clock.advance(timedelta(days=1))
    ordered(store, "a/2", name="Another")
    checkpoints.write(store, keys.signing_key(settings), settings.checkpoints())
    store.close()
    return settings


NOON = Clock().now() + timedelta(hours=12)
LATE = Clock().now() + timedelta(days=30)


def count(settings: Settings) -> list[int]:
    store = Store(settings.store())
    with store.read() as tx:
        found = list(tx.conn.execute(select(table.c.seq).order_by(table.c.seq)).scalars())
    store.close()
    return found


def looked(settings: Settings) -> Verification:
    store = Store(settings.store())
    with store.read() as tx:
        key, marks = keys.public_key(settings), checkpoints.read(settings.checkpoints())
        found = verify(
            stored_trail.entries(tx),
            lambda seq: stored_trail.content(tx, seq),
            marks,
            key,
            tx.store,
            seal=seals.newest(tx),
        )
    store.close()
    return found


def sealed(settings: Settings, file: Path, **how: object) -> object:
    store = Store(settings.store())
    try:
        return segment.seal(store, keys.signing_key(settings), file, **{"before": NOON, **how})  # type: ignore[arg-type]
    finally:
        store.close()


def outside(settings: Settings, file: Path) -> str:
    argv = [sys.executable, VERIFIER, file, keys.public_key_file(settings)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60).stdout


def exported(settings: Settings, file: Path) -> Path:
    paramedic("audit", "export", str(file), env=settings.as_env())
    return file


def test_what_leaves_is_in_the_segment_and_the_chain_goes_on(settings: Settings, tmp_path: Path) -> None:
    before = count(settings)
    seal = sealed(settings, tmp_path / "one")
    after = count(settings)
    assert isinstance(seal, segment.Seal)
    assert seal.first == 1
    assert after == [seq for seq in before if seq > seal.seq] + [before[-1] + 1]
    found = looked(settings)
    assert (found.verified, found.sealed) == (True, seal.seq)
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600
    assert "what a person wrote" in (tmp_path / "one").read_text()
    store = Store(settings.store())
    with store.record() as tx:
        assert tx.conn.execute(select(trail_contents).where(trail_contents.c.seq <= seal.seq)).all() == []
        lifecycle.resolve(tx, 2, Outcome(Ending.HANDED_OVER, "over"), actor="person:ada")
        assert list(stored_trail.entries(tx))[-1].seq == after[-1] + 1
    store.close()
    two = sealed(settings, tmp_path / "two", before=LATE)
    assert isinstance(two, segment.Seal)
    assert (two.first, two.seq) == (seal.seq + 1, before[-1]), "what was told since is younger"
    assert looked(settings).verified
    lines = [json.loads(line) for line in (tmp_path / "one").read_text().splitlines()]
    forgotten = [json.dumps({key: part for key, part in line.items() if key != "content"}) + "\n" for line in lines]
    (tmp_path / "forgotten").write_text("".join(forgotten))
    for name in ("one", "two", "forgotten"):
        assert outside(settings, tmp_path / name) == "the trail is whole\n", name
    assert outside(settings, exported(settings, tmp_path / "rest")) == "the trail is whole\n"


def test_the_story_of_an_open_incident_stays(settings: Settings, tmp_path: Path) -> None:
    store = Store(settings.store())
    with store.read() as tx:
        begins = next(stored_trail.entries(tx, incident=2)).seq
    store.close()
    seal = sealed(settings, tmp_path / "one", before=LATE)
    assert isinstance(seal, segment.Seal)
    assert seal.seq == begins - 1
    assert sealed(settings, tmp_path / "two", before=LATE) is None
    assert not (tmp_path / "two").exists()


def test_an_incident_that_opens_again_keeps_what_a_segment_was_written_of(settings: Settings, tmp_path: Path) -> None:
    store = Store(settings.store())
    segment._write(store, keys.signing_key(settings), tmp_path / "one", before=NOON, contents=True, most=99)
    with store.write() as tx:
        tx.conn.execute(
            incidents.update(incidents.incidents)
            .where(incidents.incidents.c.number == 1)
            .values(state="open", service="x")
        )
    store.close()
    before = count(settings)
    with pytest.raises(Refused, match="entry 1 stays: the story of an incident that is not over begins there"):
        sealed(settings, tmp_path / "one")
    assert count(settings) == before


def test_a_segment_is_bounded(settings: Settings, tmp_path: Path) -> None:
    seal = sealed(settings, tmp_path / "one", most=2)
    two = sealed(settings, tmp_path / "two", most=1)
    assert isinstance(seal, segment.Seal)
    assert isinstance(two, segment.Seal)
    assert (seal.first, seal.seq, two.first, two.seq) == (1, 2, 3, 3)
    assert looked(settings).verified


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('"reason": "it is new', '"reason": "it is old', "was changed"),
        ("what a person wrote", "what a person meant", "has other content beside it"),
        ('"signature": "', '"signature": "0', "seal is not signed by our key"),
        ('"kind": "seal"', '"kind": "sael"', "not a complete segment"),
    ],
)
def test_a_segment_that_was_changed_takes_nothing_with_it(
    settings: Settings, tmp_path: Path, before: str, after: str, words: str
) -> None:
    store = Store(settings.store())
    segment._write(store, keys.signing_key(settings), tmp_path / "one", before=NOON, contents=True, most=99)
    store.close()
    written = (tmp_path / "one").read_text()
    assert before in written
    (tmp_path / "one").write_text(written.replace(before, after))
    entries = count(settings)
    with pytest.raises(BadSegment, match=words):
        sealed(settings, tmp_path / "one")
    assert count(settings) == entries


def test_a_file_of_somebody_elses_is_neither_overwritten_nor_believed(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("Dear reader\n")
    entries = count(settings)
    with pytest.raises(BadSegment, match="not a complete segment"):
        sealed(settings, tmp_path / "letter")
    assert (tmp_path / "letter").read_text() == "Dear reader\n"
    sealed(settings, tmp_path / "one")
    lines = (tmp_path / "one").read_text().splitlines(keepends=True)
    (tmp_path / "cut").write_text("".join(lines[:-1]))
    (tmp_path / "long").write_text("".join([*lines, lines[1]]))
    for name, words in (("cut", "no seal at its end"), ("long", "goes on after its seal")):
        with pytest.raises(BadSegment, match=words):
            sealed(settings, tmp_path / name)
    assert len(count(settings)) < len(entries)


def test_a_seal_that_nobody_signed_is_a_chain_that_was_cut_off(settings: Settings, tmp_path: Path) -> None:
    mallory = Ed25519PrivateKey.generate()
    store = Store(settings.store())
    segment.seal(store, mallory, tmp_path / "one", before=NOON)
    store.close()
    assert "not signed by our key: what came before was cut off" in looked(settings).faults[0].what
    assert "is not signed by this key" in outside(settings, exported(settings, tmp_path / "rest"))
    store = Store(settings.store())
    with store.write() as tx:
        tx.conn.execute(delete(seals.table))
    store.close()
    assert "removed before entry" in looked(settings).faults[0].what


def test_nothing_but_what_a_seal_names_can_be_removed(settings: Settings, tmp_path: Path) -> None:
    seal = sealed(settings, tmp_path / "one")
    assert isinstance(seal, segment.Seal)
    entries = count(settings)
    store = Store(settings.store())
    for seq in (seal.seq + 1, entries[-1]):
        with pytest.raises(DBAPIError, match="the trail only grows"), store.engine.begin() as conn:
            conn.execute(delete(table).where(table.c.seq == seq))
    store.close()
    assert count(settings) == entries


def test_a_sealed_store_is_backed_up_and_restored(settings: Settings, tmp_path: Path) -> None:
    sealed(settings, tmp_path / "one")
    back_up(settings, tmp_path / "backup")
    made = restore(settings, tmp_path / "backup", by="ada", replace=True)
    assert (made.found.verified, looked(settings).verified) == (True, True)


def test_the_role_that_writes_the_trail_cannot_seal_it(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run("CREATE ROLE keeper_owner LOGIN")
    postgres.run("CREATE ROLE keeper LOGIN")
    postgres.run("CREATE DATABASE keepers OWNER keeper_owner")
    postgres.run("GRANT CREATE ON SCHEMA public TO keeper_owner", "keepers")
    owner, url = postgres.url("keepers", "keeper_owner"), postgres.url("keepers", "keeper")
    migrate(owner, runtime_role="keeper")
    settings = Settings(data=tmp_path, store_url=url, store_owner_url=owner)
    store = Store(url)
    ended = handed_over(store)
    with store.record() as tx:
        lifecycle.resolve(tx, ended.number, Outcome(Ending.HANDED_OVER, "over"), actor="person:ada")
    with pytest.raises(Refused, match="PARAMEDIC_STORE_OWNER_URL"):
        segment.seal(store, keys.signing_key(settings), tmp_path / "one", before=LATE + timedelta(days=9999))
    store.close()
    for statement in ("DELETE FROM trail", "DELETE FROM seals", "INSERT INTO seals SELECT * FROM seals"):
        with psycopg.connect(url) as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(statement)
    sealing = Store(settings.owner())
    assert segment.seal(sealing, keys.signing_key(settings), tmp_path / "one", before=LATE + timedelta(days=9999))
    sealing.close()
    assert looked(settings).verified
    postgres.run("DROP DATABASE keepers WITH (FORCE)")
    postgres.run("DROP ROLE keeper_owner")
    postgres.run("DROP ROLE keeper")


def _seal(settings: Settings, file: Path) -> None:
    segment.seal(Store(settings.owner()), keys.signing_key(settings), file, before=NOON)


@pytest.mark.parametrize("point", ["segment_written", "entries_removed"])
def test_a_seal_that_is_killed_has_removed_nothing_and_is_taken_up_again(
    settings: Settings, tmp_path: Path, point: str
) -> None:
    entries = count(settings)
    killed_at(point, tmp_path / "boundaries", _seal, settings, tmp_path / "one")
    assert count(settings) == entries
    assert looked(settings).verified
    seal = sealed(settings, tmp_path / "one")
    assert isinstance(seal, segment.Seal)
    assert count(settings)[0] == seal.seq + 1
    again = sealed(settings, tmp_path / "one")
    assert again == seal, "and where it was done, it is not done twice"
    assert looked(settings).verified


def test_the_command_line_seals_and_says_where_a_story_went(settings: Settings, tmp_path: Path) -> None:
    def say(*argv: str, code: int = 0) -> str:
        return paramedic(*argv, code=code, env=settings.as_env())

    file = str(tmp_path / "one")
    assert "write a day" in say("audit", "seal", file, "--before", "yesterday", code=2)
    output = say("audit", "seal", file, "--before", "2026-02-01")
    assert f"left for {file}, which is the only place that has them" in output
    assert "the story of an incident that is not over" in say("audit", "seal", f"{file}.2", "--before", "2027-01-01")
    assert f"its timeline begins in a sealed segment of the trail: {file}" in say("incident", "show", "1")
    assert json.loads(say("incident", "show", "2", "--json"))["segments"] == []
    assert "left for sealed segments" in say("audit", "verify")
    assert "left for sealed segments" in say("audit", "show")
    assert json.loads(say("audit", "verify", "--json"))["verified"] is True
