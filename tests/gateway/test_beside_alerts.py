"""What a sender posts that is no alert gets its 202, is kept, and tells a person only where something is to be done."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from paramedic.gateway.app import make_app
from paramedic.intake.intake import Wake
from paramedic.kinds import plugin_folder
from paramedic.settings import Settings
from paramedic.store import Store, quarantine
from paramedic.store.tables import inbox, messages

TOKEN = "a-token-of-good-length"

#: A vendor that posts a test and a subscription.
VENDOR = """
from paramedic.alerts.reading import Aside, Reading

BODY = EXAMPLE = "a word"


def read(headers, body):
    word = body.decode()
    return Reading(asides=(Aside(f"{word}: password=hunter2hunter2", f"is a {word}", tell=word == "subscription"),))
"""


@pytest.fixture
def client(tmp_path: Path, store: Store) -> Iterator[TestClient]:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "vendor.py").write_text(VENDOR)
    plugin_folder.use(tmp_path)
    settings = Settings(data=tmp_path, gateway_tokens={"me": SecretStr(TOKEN)}, quarantine_limit=3)
    yield TestClient(make_app(settings, store, wake=Wake(), alive=lambda: True), base_url="http://127.0.0.1")
    plugin_folder.use(None)


def _post(client: TestClient, body: str) -> Any:
    answer = client.post("/alerts/vendor", content=body, headers={"Authorization": f"Bearer {TOKEN}"})
    return answer.status_code, answer.json()


def _kept(store: Store, *, beside: bool) -> list[str]:
    with store.read() as tx:
        return [row["error"] for row in quarantine.listed(tx, beside=beside)]


def _told(store: Store) -> list[str]:
    with store.read() as tx:
        assert tx.conn.execute(inbox.select()).all() == []
        return [row.body for row in tx.conn.execute(messages.select())]


def test_a_test_is_kept_and_tells_nobody(client: TestClient, store: Store) -> None:
    assert _post(client, "test") == (202, {"receipts": [], "quarantined": 0})
    assert (_kept(store, beside=True), _kept(store, beside=False), _told(store)) == (["is a test"], [], [])


def test_a_subscription_tells_a_person_once(client: TestClient, store: Store) -> None:
    for _ in range(2):
        assert _post(client, "subscription")[0] == 202
    (told,) = _told(store)
    assert told.startswith("is a subscription")
    assert "paramedic alert refused --beside" in told


def test_its_body_is_kept_without_its_secrets(client: TestClient, store: Store) -> None:
    _post(client, "test")
    with store.read() as tx:
        assert "hunter2" not in quarantine.listed(tx, beside=True)[0]["body"]


def test_however_many_there_are_they_push_no_unreadable_body_out(client: TestClient, store: Store) -> None:
    client.post("/alerts/datadog", content=b"no json", headers={"Authorization": f"Bearer {TOKEN}"})
    for _ in range(5):
        _post(client, "test")
    assert (len(_kept(store, beside=True)), len(_kept(store, beside=False))) == (3, 1)
