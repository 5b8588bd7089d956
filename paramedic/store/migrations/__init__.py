"""Migrations of the schema: expand first, contract a release later, so that two neighbouring versions share one store."""

import uuid
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection, insert, select, text

from paramedic.store import StoreUnknown, connect, translated
from paramedic.store.tables import meta


def revision_of(url: str) -> str | None:
    """The revision that the database is at; None before its first migration. Raises StoreUnavailable."""
    engine = connect(url)
    try:
        with translated(), engine.connect() as conn:
            return at_revision(conn)
    finally:
        engine.dispose()


def at_revision(conn: Connection) -> str | None:
    """The revision that the database of this connection is at; None before its first migration."""
    # Alembic costs a tenth of a second to import, and only this module needs it.
    from alembic.migration import MigrationContext

    return MigrationContext.configure(conn).get_current_revision()


def migrate(url: str, *, runtime_role: str | None = None, revision: str = "head") -> None:
    """Bring the database to this version's schema; make it if it is new. Idempotent, safe to run from several at once.

    `revision` stops at an older schema: that of a store of which a copy is made.

    On PostgreSQL `runtime_role` is granted what Paramedic needs at run time, and no UPDATE, DELETE or TRUNCATE on the
    trail: then the trail's keeper is another role than its writer. Raises StoreUnavailable, or StoreUnknown for a
    database that a newer version has already moved on.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    engine = connect(url, lock_wait=_MIGRATION_WAIT)
    try:
        with translated(), engine.execution_options(paramedic_writes=True).begin() as conn:
            if conn.dialect.name == "postgresql":
                conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            config.attributes["connection"] = conn
            command.upgrade(config, revision)
            if conn.execute(select(meta.c.store)).one_or_none() is None:
                conn.execute(insert(meta).values(id=1, store=str(uuid.uuid4()), generation=1))
            if runtime_role is not None and conn.dialect.name == "postgresql":
                _grant(conn, runtime_role)
    except CommandError as error:
        raise unknown(str(error)) from error
    finally:
        engine.dispose()


def unknown(revision: str) -> StoreUnknown:
    """The refusal of a database that a newer version has moved on."""
    return StoreUnknown(
        f"the database is at a revision that this version does not know ({revision}); "
        "install the version that made it, or restore a backup of before"
    )


#: Several processes may bring one new store up to date at once: the last waits for all the others.
_MIGRATION_WAIT = timedelta(seconds=30)

_MIGRATION_LOCK = 0x6D69_6772_6174_6501


def _grant(conn: Connection, role: str) -> None:
    quoted = conn.dialect.identifier_preparer.quote_identifier(role)
    conn.exec_driver_sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {quoted}")
    conn.exec_driver_sql(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {quoted}")
    conn.exec_driver_sql(f"REVOKE UPDATE, DELETE, TRUNCATE ON trail FROM {quoted}")
    conn.exec_driver_sql(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON seals FROM {quoted}")
