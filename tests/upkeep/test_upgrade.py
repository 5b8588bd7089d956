"""A store of an older version: refused in words, copied, then brought to this version's schema."""

import json
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from backed_up_stores import unpacked
from command_line import paramedic
from sqlalchemy import text

from paramedic.errors import PermanentError
from paramedic.settings import Settings
from paramedic.store import REVISIONS, Store, StoreUnknown, connect, migrations
from paramedic.store.migrations import migrate, revision_of
from paramedic.upkeep.backup import upgrade
from paramedic.upkeep.restore import restore

OLD, NEW = REVISIONS[0], REVISIONS[-1]

_ROW = (
    "INSERT INTO quarantine (id, source, sender, received_at, error, body) "
    "VALUES ('one', 'alertmanager', 'x', 5, 'unreadable', 'its body')"
)


@pytest.fixture
def old(empty_url: str, tmp_path: Path) -> Settings:
    """A store as the first version made it, with one row in it."""
    migrate(empty_url, revision=OLD)
    rows_of(empty_url, _ROW)
    (tmp_path / "data").mkdir()
    return Settings(data=tmp_path / "data", store_url=empty_url)


def rows_of(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = connect(url)
    with engine.begin() as conn:
        done = conn.execute(text(statement))
        rows = [tuple(row) for row in done] if done.returns_rows else []
    engine.dispose()
    return rows


def test_the_revisions_that_are_known_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    history = [revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()]
    assert list(reversed(history)) == REVISIONS


def test_a_store_of_an_older_version_says_how_it_goes_on(old: Settings) -> None:
    store = Store(old.store())
    with pytest.raises(StoreUnknown, match=f"at revision {OLD}, and this version needs {NEW}: `paramedic upgrade`"):
        store.uuid  # noqa: B018
    store.close()


def test_an_upgrade_keeps_what_is_there_and_a_backup_of_before(old: Settings, tmp_path: Path) -> None:
    assert upgrade(old, tmp_path / "before") == (OLD, NEW)
    assert revision_of(old.store()) == NEW
    assert rows_of(old.store(), "SELECT id, body FROM quarantine") == [("one", "its body")]
    unpacked(tmp_path / "before", tmp_path / "old")
    assert revision_of(f"sqlite:///{tmp_path}/old/store.db") == OLD
    assert upgrade(old, tmp_path / "again") == (NEW, NEW)
    assert not (tmp_path / "again").exists()


def test_a_backup_of_an_older_version_is_restored_by_a_newer_one(old: Settings, tmp_path: Path) -> None:
    upgrade(old, tmp_path / "before")
    (tmp_path / "fresh").mkdir()
    fresh = Settings(data=tmp_path / "fresh")
    assert restore(fresh, tmp_path / "before", by="ada").generation == 2
    assert rows_of(fresh.store(), "SELECT id, body FROM quarantine") == [("one", "its body")]


def test_a_store_of_a_newer_version_is_left_alone_in_words(old: Settings, tmp_path: Path) -> None:
    rows_of(old.store(), "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(PermanentError, match="9999.*install the version that made it"):
        upgrade(old, tmp_path / "before")
    assert not (tmp_path / "before").exists()


def test_without_a_place_for_the_backup_nothing_is_changed(old: Settings, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere" / "before")
    assert "nothing was changed" in paramedic("upgrade", "--backup", nowhere, code=2, env=old.as_env())
    assert revision_of(old.store()) == OLD
    assert f"from revision {OLD} to {NEW}" in paramedic("upgrade", env=old.as_env())
    assert len(list(old.data.glob("before-upgrade-*.backup"))) == 1
    assert "nothing to do" in paramedic("upgrade", env=old.as_env())


def test_a_program_is_told_from_where_to_where_and_where_the_backup_is(old: Settings, tmp_path: Path) -> None:
    file = tmp_path / "before"
    for answer in ({"from": OLD, "to": NEW, "backup": str(file)}, {"from": NEW, "to": NEW, "backup": None}):
        assert json.loads(paramedic("upgrade", "--backup", str(file), "--json", env=old.as_env())) == answer
    assert file.exists()


def test_an_empty_database_gets_its_tables_and_leaves_no_backup(empty_url: str, tmp_path: Path) -> None:
    """As the first start of a cluster does, by a job of its own."""
    (tmp_path / "data").mkdir()
    settings = Settings(data=tmp_path / "data", store_url=empty_url)
    assert upgrade(settings, tmp_path / "before") == (None, NEW)
    assert not (tmp_path / "before").exists()
    assert revision_of(empty_url) == NEW
    assert upgrade(settings, tmp_path / "before") == (NEW, NEW)
