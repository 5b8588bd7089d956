"""The schema: one history, made once, by however many at once, and never by guessing."""

import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from databases import Postgres, at_once
from sqlalchemy import select, text

import paramedic.store
from paramedic.remediation.cure_record import sum_up
from paramedic.remediation.site_limits import BreakerLimit
from paramedic.store import (
    Store,
    StoreUnavailable,
    StoreUnknown,
    acts,
    breakers,
    connect,
    cure_looks,
    evidence,
    kill_switch,
    migrations,
    trail,
)
from paramedic.store.migrations import migrate
from paramedic.store.tables import meta, metadata


def test_an_empty_database_gets_its_tables_and_an_identity(empty_url: str) -> None:
    migrate(empty_url)
    store = Store(empty_url)
    assert len(store.uuid) == 36
    with store.read() as tx:
        assert list(trail.entries(tx)) == []
    store.close()


def test_migrating_twice_keeps_the_identity(empty_url: str) -> None:
    migrate(empty_url)
    first = Store(empty_url)
    before = first.uuid
    first.close()
    migrate(empty_url)
    again = Store(empty_url)
    assert again.uuid == before
    again.close()


def test_what_was_paused_before_a_service_could_be_is_paused_after(empty_url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    engine = connect(empty_url)
    with engine.execution_options(paramedic_writes=True).begin() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0001")
        conn.execute(text("INSERT INTO pauses (scope, by, reason, since) VALUES ('all', 'ada', 'a look', 0)"))
    engine.dispose()
    migrate(empty_url)
    store = Store(empty_url)
    with store.record() as tx:
        kill_switch.pause(tx, by="ada", reason="long", scope=f"service:{'x' * 200}")
        kill_switch.pause(tx, by="bob", reason="again")
        assert [(pause.scope[:9], pause.by) for pause in kill_switch.standing(tx)] == [
            ("all", "ada"),
            ("service:x", "ada"),
        ]
    store.close()


def test_old_stores_keep_their_one_acknowledgement_and_learn_from_the_trail_who_resolved(empty_url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    engine = connect(empty_url)
    incident = (
        "INSERT INTO incidents (service, target, title, severity, state, attempt, policy, opened_at, acknowledged_at, "
        "ending) VALUES ('s', :target, 't', 'critical', 'resolved', 1, 'default', 0, 7, :ending)"
    )
    entry = (
        "INSERT INTO trail (seq, at, actor, phase, what, incident, reason, data, previous, hash, schema) "
        "VALUES (:seq, '', :actor, 'outcome', :what, :incident, '', '{}', '', :hash, 1)"
    )
    entries = [
        ("run:1", "incident.handed_over", "INC-1"),
        ("person:ada", "incident.handed_over", "INC-1"),
        ("run:2", "incident.remediated", "INC-2"),
        ("person:ben", "incident.handed_over", "INC-11"),
    ]
    with engine.execution_options(paramedic_writes=True).begin() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0020")
        for target, ending in (("a", "handed_over"), ("b", "remediated")):
            conn.execute(text(incident), {"target": target, "ending": ending})
        for seq, (actor, what, number) in enumerate(entries, 1):
            row = {"seq": seq, "actor": actor, "what": what, "incident": number, "hash": str(seq)}
            conn.execute(text(entry), row)
    engine.dispose()
    migrate(empty_url)
    engine = connect(empty_url)
    with engine.connect() as conn:
        rows = conn.execute(text("SELECT resolved_by, first_acknowledged_at FROM incidents ORDER BY number")).all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [("ada", 7), (None, 7)]


def test_process_trees_of_old_stores_keep_their_beginning_wherever_they_are_cut(empty_url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    engine = connect(empty_url)
    with engine.execution_options(paramedic_writes=True).begin() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0023")
        conn.execute(
            text(
                "INSERT INTO incidents (service, target, title, severity, state, attempt, policy, opened_at) "
                "VALUES ('s', 't', 't', 'critical', 'open', 1, 'default', 0)"
            )
        )
        for kind in ("process-tree", "log-tail"):
            row = {"kind": kind}
            conn.execute(
                text("INSERT INTO evidence (incident, attempt, kind, taken_at, body) VALUES (1, 1, :kind, 0, 'x')"), row
            )
    engine.dispose()
    migrate(empty_url)
    store = Store(empty_url)
    with store.read() as tx:
        seen = {piece["kind"]: piece["from_beginning"] for piece in evidence.of(tx, 1)}
    store.close()
    assert seen == {"process-tree": True, "log-tail": False}


def test_what_did_not_help_before_the_upgrade_trips_no_breaker_and_what_does_not_help_after_it_does(
    empty_url: str,
) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    engine = connect(empty_url)
    incident = (
        "INSERT INTO incidents (service, target, title, severity, state, attempt, policy, opened_at) "
        "VALUES ('s', 'web-1/api', 't', 'critical', 'resolved', 1, 'default', 0)"
    )
    act = (
        "INSERT INTO acts (incident, attempt, rung, target, remedy, token, holder, identity, written_at, deadline_at, result) "
        "VALUES (1, 1, 1, 'web-1/api', 'restart', 1, 'run:1', :identity, :at, :at, 'failed')"
    )
    identity = '{"state": "RUNNING"}'
    with engine.execution_options(paramedic_writes=True).begin() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0023")
        conn.execute(text(incident))
        for at in range(3):
            conn.execute(text(act), {"at": at, "identity": identity})
    engine.dispose()
    migrate(empty_url)
    store, limit = Store(empty_url), BreakerLimit(3, timedelta(hours=4))
    with store.read() as tx:
        assert breakers.tripped(tx, limit) == []
    with store.write() as tx:
        for at in range(3, 6):
            tx.conn.execute(text(act), {"at": at, "identity": identity})
    with store.read() as tx:
        assert [one.unhelpful.target for one in breakers.tripped(tx, limit)] == ["web-1/api"]
    store.close()


def _migrate(url: str, number: int) -> str:
    migrate(url)
    store = Store(url)
    uuid = store.uuid
    store.close()
    return uuid


def test_processes_that_migrate_at_once_make_one_store(empty_url: str) -> None:
    assert len(set(at_once(4, _migrate, empty_url))) == 1
    engine = connect(empty_url)
    with engine.connect() as conn:
        assert len(conn.execute(select(meta)).all()) == 1
    engine.dispose()


def test_a_new_store_that_another_process_is_making_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite itself refuses at once to change the journal of a database that somebody else writes to."""
    file = tmp_path / "new.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(paramedic.store.time, "sleep", lambda _: other.rollback())
        migrate(f"sqlite:///{file}")
    store = Store(f"sqlite:///{file}")
    assert store.uuid
    store.close()


def test_a_new_store_that_another_process_holds_for_good_is_unavailable_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "_MIGRATION_WAIT", timedelta(seconds=0.1))
    file = tmp_path / "new.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="database is locked"):
            migrate(f"sqlite:///{file}")


def test_the_tables_are_what_the_migrations_build(store_url: str) -> None:
    engine = connect(store_url)
    with engine.connect() as conn:
        difference = compare_metadata(MigrationContext.configure(conn, opts={"compare_type": True}), metadata)
    engine.dispose()
    assert difference == []


def test_the_partial_indexes_have_the_conditions_that_the_tables_name(store_url: str) -> None:
    engine = connect(store_url)
    with engine.connect() as conn:
        catalogue = "pg_indexes" if conn.dialect.name == "postgresql" else "sqlite_master"
        columns = "indexname, indexdef" if conn.dialect.name == "postgresql" else "name, sql"
        made = {row[0]: row[1] for row in conn.execute(text(f"SELECT {columns} FROM {catalogue}"))}
    engine.dispose()
    partial = [index for table in metadata.tables.values() for index in table.indexes if "where" in index.info]
    assert {index.name for index in partial if index.unique} == {"incidents_live", "acts_open"}, "promises rest on them"
    for index in partial:
        assert _plain(made[index.name].partition("WHERE")[2]) == _plain(index.info["where"])
        assert made[index.name].startswith("CREATE UNIQUE INDEX") == bool(index.unique)
    assert {name for name, sql in made.items() if " WHERE " in (sql or "") and "INDEX" in sql} == {
        index.name for index in partial
    }


def _plain(condition: str) -> str:
    """Without what PostgreSQL adds to it: brackets, and the types of texts."""
    return re.sub(r"::(text|character varying)|[()]", "", condition).strip()


def test_a_database_of_a_newer_version_is_refused_in_words(own_url: str) -> None:
    engine = connect(own_url)
    with engine.begin() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StoreUnknown, match=r"9999.*install the version that made it"):
        migrate(own_url)


def test_a_database_without_tables_says_how_to_make_them(empty_url: str) -> None:
    store = Store(empty_url)
    with pytest.raises(StoreUnknown, match="no tables yet"), store.read():
        pass
    store.close()


def test_a_database_of_somebody_else_is_refused_in_words(own_url: str) -> None:
    engine = connect(own_url)
    with engine.begin() as conn:
        conn.execute(text("DELETE FROM meta"))
    engine.dispose()
    store = Store(own_url)
    with pytest.raises(StoreUnknown, match="no identity"):
        store.uuid  # noqa: B018
    store.close()


def test_what_was_cured_before_the_upgrade_is_counted_and_not_looked_at_again(empty_url: str) -> None:
    """The release before kept no instance that was verified, and its hour may be long over."""
    migrate(empty_url, revision="0025")
    engine = connect(empty_url)
    with engine.execution_options(paramedic_writes=True).begin() as conn:
        conn.execute(
            text(
                "INSERT INTO incidents (service, target, title, severity, state, attempt, policy, opened_at, runbook) "
                "VALUES ('s', 'web-1/shop', 't', 'critical', 'resolved', 1, 'default', 0, 'shop-down')"
            )
        )
        conn.execute(
            text(
                "INSERT INTO acts (incident, attempt, rung, target, remedy, token, holder, identity, written_at, deadline_at, "
                "result, closed_at) VALUES (1, 1, 1, 'web-1/shop', 'restart', 1, 'run:r', '{\"state\": \"RUNNING\"}', 0, 9, "
                "'cured', 9)"
            )
        )
    engine.dispose()
    migrate(empty_url)
    store = Store(empty_url)
    with store.record() as tx:
        assert cure_looks.due(tx) == []
        [record] = sum_up(acts.of_runbook(tx, "shop-down"), cure_looks.of_runbook(tx, "shop-down"))
        assert (record.remedy, record.target, record.cured) == ("restart", "web-1/shop", 1)
        cure_looks.plan(tx, acts.get(tx, 1), None)
        assert len(cure_looks.of(tx, 1)) == 2
    store.close()


def test_a_file_that_is_no_database_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear reader, this is not a database at all.\n" * 100)
    with pytest.raises(StoreUnavailable, match="not a database"):
        migrate(f"sqlite:///{tmp_path}/letter.txt")
    store = Store(f"sqlite:///{tmp_path}/letter.txt")
    with pytest.raises(StoreUnavailable, match="not a database"):
        store.uuid  # noqa: B018


def test_the_runtime_role_writes_everything_and_changes_nothing_on_the_trail(postgres: Postgres) -> None:
    postgres.run("CREATE ROLE paramedic_owner LOGIN")
    postgres.run('CREATE ROLE "paramedic run-time" LOGIN')
    postgres.run("CREATE DATABASE two_roles OWNER paramedic_owner")
    postgres.run("GRANT CREATE ON SCHEMA public TO paramedic_owner", "two_roles")
    migrate(postgres.url("two_roles", "paramedic_owner"), runtime_role="paramedic run-time")
    url = postgres.url("two_roles", "paramedic%20run-time")

    migrate(url)  # what `up` does at each start: there is nothing to do, and that needs no right
    store = Store(url)
    with store.record() as tx:
        trail.append(tx, actor="a", phase="decision", what="w", reason="r", content={"note": "can be erased"})
    store.close()

    for statement in (
        "UPDATE trail SET reason = 'another'",
        "DELETE FROM trail",
        "TRUNCATE trail",
        "ALTER TABLE trail DISABLE TRIGGER ALL",
        "DROP TRIGGER trail_refuses_change ON trail",
        "DROP FUNCTION trail_only_grows() CASCADE",
        "SET session_replication_role = replica",
        "DROP TABLE trail",
        'GRANT UPDATE ON trail TO "paramedic run-time"',
        "ALTER TABLE trail RENAME TO other",
    ):
        with psycopg.connect(url, autocommit=True) as conn:
            if statement.startswith("GRANT"):
                # PostgreSQL warns and grants nothing; what counts is that nothing came of it.
                conn.execute(statement)
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    conn.execute("UPDATE trail SET reason = 'another'")
            else:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    conn.execute(statement)
    with psycopg.connect(url) as conn:
        conn.execute("DELETE FROM trail_contents")  # forgetting a person is allowed
    assert postgres.run("SELECT count(*) FROM trail", "two_roles") == [(1,)]
    postgres.run("DROP DATABASE two_roles WITH (FORCE)")
    postgres.run("DROP ROLE paramedic_owner")
    postgres.run('DROP ROLE "paramedic run-time"')


def test_a_store_that_is_neither_of_the_two_is_refused_in_words() -> None:
    with pytest.raises(Exception, match=r"'mysql'; allowed: sqlite:///FILE"):
        connect("mysql://somewhere/else")
