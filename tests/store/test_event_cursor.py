"""How far the trail was told: it only goes on, and what an older version wrote is not news."""

import uuid

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import insert

from paramedic.store import Store, connect, event_cursor, migrations
from paramedic.store.migrations import migrate
from paramedic.store.tables import meta
from paramedic.store.tables import trail as entries


def test_a_new_store_has_told_nothing(store: Store) -> None:
    with store.read() as tx:
        assert event_cursor.position(tx) == 0


def test_the_position_never_goes_back(store: Store) -> None:
    for seq, stands in ((3, 3), (7, 7), (5, 7)):
        with store.record() as tx:
            event_cursor.advance(tx, seq)
        with store.read() as tx:
            assert event_cursor.position(tx) == stands


def test_a_store_of_an_older_version_begins_at_its_head(empty_url: str) -> None:
    _as_before(empty_url, "0007")
    engine = connect(empty_url)
    with engine.begin() as conn:
        for seq in (1, 2, 3):
            told_before = dict.fromkeys(("at", "actor", "phase", "what", "reason", "data", "previous", "hash"), "")
            conn.execute(insert(entries).values(seq=seq, schema=1, **told_before))
    engine.dispose()
    migrate(empty_url)
    store = Store(empty_url)
    with store.read() as tx:
        assert event_cursor.position(tx) == 3
    store.close()


def _as_before(url: str, revision: str) -> None:
    """A store as the version before that revision made it."""
    config = Config()
    config.set_main_option("script_location", str(migrations.__path__[0]))
    before = ScriptDirectory.from_config(config).get_revision(revision).down_revision
    assert isinstance(before, str)
    engine = connect(url)
    with engine.execution_options(paramedic_writes=True).begin() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, before)
        conn.execute(insert(meta).values(id=1, store=str(uuid.uuid4()), generation=1))
    engine.dispose()
