"""A heartbeat is heard from who may send alerts, and is on disk before its 202."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import migrated
from incident_states import unwritable
from pydantic import SecretStr
from starlette.testclient import TestClient

from paramedic.gateway.app import make_app
from paramedic.intake.intake import Wake
from paramedic.settings import Settings
from paramedic.store import Store, heartbeats

TOKEN = "a-token-of-this-test"
KNOWN = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path, gateway_tokens={"cron": SecretStr(TOKEN)})


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = Store(migrated(settings.data / "paramedic.db"))
    yield opened
    opened.close()


@pytest.fixture
def client(settings: Settings, store: Store) -> TestClient:
    return TestClient(make_app(settings, store, wake=Wake(), alive=lambda: True))


def _heard(store: Store, name: str) -> bool:
    with store.read() as tx:
        return heartbeats.missing_for(tx, name) is not None


def test_a_heartbeat_is_on_disk(client: TestClient, store: Store) -> None:
    answer = client.post("/heartbeats/nightly-backup", headers=KNOWN)
    assert (answer.status_code, answer.json()) == (202, {"heard": "nightly-backup"})
    assert _heard(store, "nightly-backup")


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer another-token"}], ids=["none", "another"])
def test_nobody_we_know_is_not_heard(client: TestClient, store: Store, header: dict[str, str]) -> None:
    assert client.post("/heartbeats/nightly-backup", headers=header).status_code == 401
    assert not _heard(store, "nightly-backup")


@pytest.mark.parametrize("name", ["a%20b", "%0a", "x" * 101, "%3Cscript%3E"])
def test_what_is_no_name_is_refused_with_what_is_allowed(client: TestClient, name: str) -> None:
    answer = client.post(f"/heartbeats/{name}", headers=KNOWN)
    assert answer.status_code == 422
    assert answer.json()["error"]["allowed"] == "up to 100 letters, digits, . _ -"


def test_too_many_names_are_refused_and_a_known_one_is_heard(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeats, "MOST", 1)
    assert client.post("/heartbeats/one", headers=KNOWN).status_code == 202
    assert client.post("/heartbeats/two", headers=KNOWN).status_code == 422
    assert client.post("/heartbeats/one", headers=KNOWN).status_code == 202


def test_what_cannot_be_written_is_to_be_sent_again(client: TestClient, settings: Settings, store: Store) -> None:
    assert store.uuid
    with unwritable(settings.store()):
        answer = client.post("/heartbeats/nightly-backup", headers=KNOWN)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
