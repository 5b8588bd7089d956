"""A team's own mappings are in force within seconds of a change, without a restart; one that is broken changes nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from paramedic.gateway import own_mappings
from paramedic.gateway.app import make_app
from paramedic.intake.intake import Wake
from paramedic.kinds import plugin_folder
from paramedic.settings import Settings
from paramedic.store import Store
from paramedic.store.tables import inbox, messages

SENDER = {"Authorization": "Bearer a-token-of-this-test"}
BODY = {"title": "Slow", "other": "Other", "state": "bad"}


def mapping(name: str = "$.title") -> str:
    return f"name: {name}\nstatus: {{path: $.state, firing: [bad], resolved: [good]}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "mine.yaml").write_text(mapping())
    return tmp_path / "sources"


@pytest.fixture
def post(folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    plugin_folder.use(folder.parent)
    settings = Settings(
        data=folder.parent, plugins=folder.parent, gateway_tokens={"me": SecretStr("a-token-of-this-test")}
    )
    client = TestClient(make_app(settings, store, wake=Wake(), alive=lambda: True))
    monkeypatch.setattr(own_mappings, "_EVERY_SECONDS", 0.0)

    def posted(name: str = "mine") -> int:
        return client.post(f"/alerts/{name}", json=BODY, headers=SENDER).status_code

    yield posted
    plugin_folder.use(None)


def names(store: Store) -> list[str]:
    with store.read() as tx:
        return [row.alert["name"] for row in tx.conn.execute(inbox.select().order_by(inbox.c.position))]


def told(store: Store) -> list[Any]:
    with store.read() as tx:
        return list(tx.conn.execute(messages.select()))


def test_a_changed_mapping_reads_the_next_body(folder: Path, store: Store, post: Callable[..., int]) -> None:
    assert post() == 202
    (folder / "mine.yaml").write_text(mapping("$.other"))
    assert post() == 202
    assert names(store) == ["Slow", "Other"]


def test_a_new_one_has_its_address_and_one_that_is_gone_has_none(
    folder: Path, store: Store, post: Callable[..., int]
) -> None:
    assert post("theirs") == 404
    (folder / "theirs.yaml").write_text(mapping("$.other"))
    assert post("theirs") == 202
    (folder / "mine.yaml").unlink()
    assert post() == 404
    assert "An alert of me could not be read (no-source)" in told(store)[-1].subject, "and nothing is lost in silence"


def test_a_broken_one_leaves_the_one_in_force_and_is_mended_at_once(
    folder: Path, store: Store, post: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "mine.yaml").write_text("name: [\n")
    assert [post(), post()] == [202, 202]
    assert caplog.text.count("the mapping in force stays") == 1
    (folder / "mine.yaml").write_text(mapping("$.other"))
    assert post() == 202
    assert names(store) == ["Slow", "Slow", "Other"]


def test_it_is_looked_at_every_few_seconds_and_not_for_each_body(
    folder: Path, store: Store, post: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_mappings, "_EVERY_SECONDS", 5.0)
    (folder / "mine.yaml").write_text(mapping("$.other"))
    post()
    assert names(store) == ["Slow"]
    assert own_mappings._EVERY_SECONDS <= 30
