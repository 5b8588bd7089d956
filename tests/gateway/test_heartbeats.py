"""A heartbeat is heard from who may send alerts, and is on disk before its 202."""

from pathlib import Path

import pytest
from incident_states import unwritable
from pydantic import SecretStr
from starlette.testclient import TestClient

from paramedic.settings import Settings
from paramedic.store import Store, heartbeats

TOKEN = "a-token-of-this-test"
KNOWN = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def backend() -> str:
    return "sqlite"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path, gateway_tokens={"cron": SecretStr(TOKEN)})


def _heard(store: Store, name: str) -> bool:
    with store.read() as tx:
        return heartbeats.missing_for(tx, name) is not None


def test_a_heartbeat_is_on_disk(client: TestClient, timed: Store) -> None:
    answer = client.post("/heartbeats/nightly-backup", headers=KNOWN)
    assert (answer.status_code, answer.json()) == (202, {"heard": "nightly-backup"})
    assert _heard(timed, "nightly-backup")


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer another-token"}], ids=["none", "another"])
def test_nobody_we_know_is_not_heard(client: TestClient, timed: Store, header: dict[str, str]) -> None:
    assert client.post("/heartbeats/nightly-backup", headers=header).status_code == 401
    assert not _heard(timed, "nightly-backup")


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


def test_what_cannot_be_written_is_to_be_sent_again(client: TestClient, settings: Settings, timed: Store) -> None:
    assert timed.uuid
    with unwritable(settings.store()):
        answer = client.post("/heartbeats/nightly-backup", headers=KNOWN)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
