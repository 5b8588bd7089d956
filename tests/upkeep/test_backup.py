"""A backup of a store that goes on living: what it holds, what is none, and a restore that waits or is killed."""

import json
import subprocess
import sys
import tarfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from backed_up_stores import found, handed_over_in, noted, opened, rows, signed, unpacked
from boundaries import killed_at
from command_line import paramedic
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from databases import Postgres, edited
from incident_states import begun, handed_over
from sqlalchemy import insert, select, text

from paramedic import keys
from paramedic.audit.verification import verify
from paramedic.errors import PermanentError, Refused
from paramedic.settings import Settings
from paramedic.stack import instance
from paramedic.store import (
    Store,
    incidents,
    kill_switch,
)
from paramedic.store import trail as stored_trail
from paramedic.store.migrations import migrate
from paramedic.store.tables import check_samples, meta
from paramedic.upkeep import checkpoints
from paramedic.upkeep import restore as restoring
from paramedic.upkeep.backup import BadBackup, back_up
from paramedic.upkeep.restore import restore


def test_a_backup_holds_a_whole_store_of_one_moment_while_others_write(settings: Settings, tmp_path: Path) -> None:
    store = opened(settings)
    incident = handed_over(store)
    signed(settings)
    stop = threading.Event()

    def write() -> None:
        own = opened(settings)
        while not stop.is_set():
            with own.record() as tx:
                incidents.note(tx, incident.number, by="ada", text="one more")
        own.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            back_up(settings, tmp_path / f"{number}.backup")
    finally:
        stop.set()
        writer.join()
        store.close()
    for number in range(3):
        names = unpacked(tmp_path / f"{number}.backup", tmp_path / str(number))
        assert names == ["backup.json", "store.db", "checkpoints.jsonl", "signing.pub"]
        copy = Store(f"sqlite:///{tmp_path}/{number}/store.db")
        with copy.read() as tx:
            marks = checkpoints.read(settings.checkpoints())
            assert verify(
                stored_trail.entries(tx),
                lambda seq: stored_trail.content(tx, seq),
                marks,
                keys.public_key(settings),
                tx.store,
            ).verified
        copy.close()


def test_a_backup_is_its_owners_alone_overwrites_nothing_and_holds_no_private_key_unasked(
    settings: Settings, tmp_path: Path
) -> None:
    handed_over(store := opened(settings))
    store.close()
    signed(settings)
    keys.link_key(settings)
    back_up(settings, tmp_path / "one")
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600
    before = (tmp_path / "one").read_bytes()
    with pytest.raises(Refused, match="exists already; nothing was written"):
        back_up(settings, tmp_path / "one")
    assert (tmp_path / "one").read_bytes() == before
    back_up(settings, tmp_path / "two", private_keys=True)
    held = []
    for name in ("one", "two"):
        with tarfile.open(tmp_path / name) as tar:
            held.append({name for name in tar.getnames() if name.endswith(".key")})
    assert held == [set(), {"signing.key", "link.key"}]
    assert {path.name for path in tmp_path.iterdir()} - {
        "one",
        "two",
        "data",
        "own.db",
        "own.db-wal",
        "own.db-shm",
    } == set()


def test_a_trail_that_does_not_verify_is_not_restored_unless_that_is_said(settings: Settings, tmp_path: Path) -> None:
    handed_over(store := opened(settings))
    store.close()
    signed(settings)
    back_up(settings, tmp_path / "backup")
    unpacked(tmp_path / "backup", broken := tmp_path / "broken")
    edited(broken / "store.db", "UPDATE trail SET reason = 'another' WHERE seq = 1")
    with tarfile.open(tmp_path / "changed", "w:gz") as tar:
        for part in ("backup.json", "store.db", "checkpoints.jsonl", "signing.pub"):
            tar.add(broken / part, part)
    before = rows(settings)
    with pytest.raises(Refused, match="entry 1 was changed"):
        restore(settings, tmp_path / "changed", by="ada", replace=True)
    assert rows(settings) == before
    assert not restore(settings, tmp_path / "changed", by="ada", replace=True, despite_faults=True).found.verified


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda whole: b"Dear reader", "is not a complete backup"),
        (lambda whole: whole[: len(whole) // 2], "not a complete backup|no store.db"),
        (lambda whole: None, "is not a complete backup: .*No such file"),
    ],
    ids=["a letter", "half of one", "nothing"],
)
def test_what_is_no_whole_backup_is_named_and_changes_nothing(
    settings: Settings, tmp_path: Path, spoil: object, words: str
) -> None:
    handed_over(store := opened(settings))
    store.close()
    back_up(settings, tmp_path / "backup")
    spoiled = spoil((tmp_path / "backup").read_bytes())  # type: ignore[operator]
    (tmp_path / "backup").unlink()
    if spoiled is not None:
        (tmp_path / "backup").write_bytes(spoiled)
    before = rows(settings)
    with pytest.raises(BadBackup, match=words):
        restore(settings, tmp_path / "backup", by="ada", replace=True)
    assert rows(settings) == before


def test_a_file_that_wants_to_be_written_elsewhere_is_refused(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "evil").write_text("x")
    with tarfile.open(tmp_path / "backup", "w:gz") as tar:
        tar.add(tmp_path / "evil", "../escaped")
    with pytest.raises(BadBackup, match=r"'\.\./escaped', which is not part of a backup"):
        restore(settings, tmp_path / "backup", by="ada")
    assert not (tmp_path / "escaped").exists()


def test_a_backup_of_a_newer_version_is_refused_in_words(settings: Settings, tmp_path: Path) -> None:
    handed_over(store := opened(settings))
    with store.write() as tx:
        tx.conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    if settings.store().startswith("sqlite"):
        back_up(settings, tmp_path / "backup")
        fresh = replace_data(settings, tmp_path / "fresh")
        with pytest.raises(PermanentError, match="9999.*install the version that made it"):
            restore(fresh, tmp_path / "backup", by="ada")
    else:
        with pytest.raises(PermanentError, match="9999.*install the version that made it"):
            back_up(settings, tmp_path / "backup")


def replace_data(settings: Settings, data: Path) -> Settings:
    data.mkdir(exist_ok=True)
    return Settings(data=data)


def measured(store: Store) -> None:
    seen = {"runbook": "r", "name": "health", "target": "a/1", "values": None, "why": "no answer"}
    with store.write() as tx:
        tx.conn.execute(insert(check_samples).values(at=tx.now, **seen))


def test_a_backup_of_either_database_makes_a_store_in_the_other(
    settings: Settings, tmp_path: Path, postgres: Postgres
) -> None:
    handed_over(store := opened(settings))
    begun(store, "a/2")
    measured(store)
    store.close()
    signed(settings)
    back_up(settings, tmp_path / "backup", private_keys=True)
    if settings.store().startswith("sqlite"):
        postgres.run("CREATE DATABASE other")
        other = Settings(data=tmp_path / "other", store_url=postgres.url("other"))
        (tmp_path / "other").mkdir()
    else:
        other = replace_data(settings, tmp_path / "other")
    made = restore(other, tmp_path / "backup", by="ada")
    assert (made.found.verified, made.can_sign, made.generation) == (True, True, 2)
    assert found(other).verified
    assert rows(other)["incident_alerts"] == rows(settings)["incident_alerts"]
    assert keys.link_key_file(other).exists() == keys.link_key_file(settings).exists()
    store = opened(other)
    with store.record() as tx:
        assert handed_over_in(tx, "a/9") > 2, "it goes on counting"
    measured(store)
    store.close()
    if settings.store().startswith("sqlite"):
        postgres.run("DROP DATABASE other WITH (FORCE)")


def test_checkpoints_of_another_store_and_another_key_are_not_mixed(settings: Settings, tmp_path: Path) -> None:
    handed_over(store := opened(settings))
    store.close()
    signed(settings)
    back_up(settings, tmp_path / "backup")
    mark = checkpoints.read(settings.checkpoints())[0]
    settings.checkpoints().write_text(replace(mark, store="0" * 36).as_line() + "\n")
    with pytest.raises(Refused, match=r"holds the checkpoints of another store, 0000.*Move it away"):
        restore(settings, tmp_path / "backup", by="ada", replace=True)
    settings.checkpoints().unlink()
    keys.public_key_file(settings).write_bytes(keys.pem(Ed25519PrivateKey.generate().public_key()))
    with pytest.raises(Refused, match="signed by another key"):
        restore(settings, tmp_path / "backup", by="ada", replace=True)


@pytest.mark.parametrize("backend", ["postgresql"])  # SQLite is watched over by the data folder's lock
def test_a_restore_waits_for_the_last_session_to_end(settings: Settings, tmp_path: Path) -> None:
    handed_over(store := opened(settings))
    back_up(settings, tmp_path / "backup")
    with pytest.raises(Refused, match="1 other sessions use this database"):
        restore(settings, tmp_path / "backup", by="ada", replace=True)
    store.close()
    ends = iter([1, 1])  # as PostgreSQL still counts a client that has just gone
    with pytest.MonkeyPatch.context() as patch:
        real = restoring.other_sessions
        patch.setattr(restoring, "other_sessions", lambda url: next(ends, None) or real(url))
        assert restore(settings, tmp_path / "backup", by="ada", replace=True).generation


def alone(settings: Settings) -> None:
    """Until PostgreSQL has noticed that a process is gone."""
    if settings.store().startswith("sqlite"):
        return
    import psycopg

    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with psycopg.connect(settings.store(), autocommit=True) as conn:
        until = time.monotonic() + 30
        while conn.execute(f"{others} AND backend_type = 'client backend'").fetchone() != (0,):
            assert time.monotonic() < until
            time.sleep(0.01)


def _restore(settings: Settings, backup: Path) -> None:
    restore(settings, backup, by="ada", replace=True)


@pytest.mark.parametrize("point", ["restore_staged", "store_emptied", "store_put"])
def test_a_restore_that_is_killed_leaves_the_old_store_or_the_new_one(
    settings: Settings, tmp_path: Path, point: str
) -> None:
    handed_over(store := opened(settings))
    store.close()
    signed(settings)
    back_up(settings, tmp_path / "backup")
    noted(settings, "after the backup")
    before = rows(settings)
    killed_at(point, tmp_path / "boundaries", _restore, settings, tmp_path / "backup")
    alone(settings)
    if point == "store_put":
        store = opened(settings)
        with store.read() as tx:
            assert "restored" in kill_switch.standing(tx)[0].reason
            assert tx.conn.execute(select(meta.c.generation)).scalar_one() == 2
        assert ["begins generation 2" in fault.what for fault in found(settings).faults] == [True], "nobody signed it"
        checkpoints.sign(store, settings, vouched=True)
        store.close()
    else:
        assert rows(settings) == before
    assert found(settings).verified
    assert restore(settings, tmp_path / "backup", by="ada", replace=True).found.verified, "and it can be done again"


def test_the_command_line_backs_up_and_restores_and_stays_out_of_a_running_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    settings = Settings(data=data)
    assert "no store" in paramedic("backup", str(tmp_path / "backup"), "--data", str(data), code=2)
    migrate(settings.store())
    handed_over(store := opened(settings))
    store.close()
    signed(settings)
    answer = json.loads(paramedic("backup", str(tmp_path / "backup"), "--json", "--data", str(data)))
    assert answer["generation"] == 1
    assert "exists already" in paramedic("backup", str(tmp_path / "backup"), "--data", str(data), code=1)
    with instance.alone(data):
        refused = paramedic(
            "restore", str(tmp_path / "backup"), "--by", "ada", "--replace", "--data", str(data), code=2
        )
    assert "another `paramedic up`" in refused
    assert "would be lost" in paramedic("restore", str(tmp_path / "backup"), "--by", "ada", "--data", str(data), code=1)
    fresh = tmp_path / "fresh"
    output = paramedic("restore", str(tmp_path / "backup"), "--by", "ada", "--data", str(fresh))
    assert "generation 2" in output
    assert "the signing key is not here" in output
    assert "acting is paused" in output
    unsigned = paramedic("audit", "verify", "--data", str(fresh), code=1)
    assert "a restore from a backup: generation 2 begins with it" in unsigned
    assert "our key has signed neither it nor any entry since" in unsigned
    for name in ("signing.key", "signing.pub"):
        (fresh / name).write_bytes((data / name).read_bytes())
        (fresh / name).chmod(0o600)
    assert "signed up to entry" in paramedic(
        "audit", "vouch", "--by", "ada", "--because", "it was me", "--data", str(fresh)
    )
    assert "trail verified" in paramedic("audit", "verify", "--data", str(fresh))
    lines = (fresh / "checkpoints.jsonl").read_text().splitlines(keepends=True)
    (fresh / "checkpoints.jsonl").write_text("".join(lines[:-1]))
    assert "no longer holds" in paramedic("audit", "verify", "--data", str(fresh), code=1)


def test_the_verifier_outside_knows_what_a_restore_left_behind(settings: Settings, tmp_path: Path) -> None:
    verifier = Path(__file__).parents[2] / "docs" / "verify_trail.py"
    handed_over(store := opened(settings))
    store.close()
    signed(settings)
    back_up(settings, tmp_path / "backup")
    noted(settings, "lost")
    signed(settings)
    restore(settings, tmp_path / "backup", by="ada", replace=True)
    paramedic("audit", "export", str(tmp_path / "trail.jsonl"), env=settings.as_env())

    def verified(file: Path) -> str:
        argv = [sys.executable, verifier, file, keys.public_key_file(settings)]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60).stdout

    assert verified(tmp_path / "trail.jsonl") == "the trail is whole\n"
    lines = (tmp_path / "trail.jsonl").read_text().splitlines(keepends=True)
    without = [line for line in lines if "store.restored" not in line]
    (tmp_path / "without.jsonl").write_text("".join(without))
    assert "is of generation 2, and no entry tells of that restore" in verified(tmp_path / "without.jsonl")
