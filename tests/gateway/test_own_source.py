"""A source in a team's own folder has an address of its own, by a token or by its vendor's signature."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from plugins_page import EXAMPLES
from pydantic import SecretStr
from sqlalchemy import select
from starlette.testclient import TestClient

from paramedic.gateway.app import make_app
from paramedic.intake.intake import Wake
from paramedic.kinds import plugin_folder
from paramedic.kinds.registry import Room
from paramedic.settings import Settings
from paramedic.store import Store
from paramedic.store.tables import inbox, quarantine

TOKEN = "a-token-of-good-length"

#: The whole example of the page; it says of a header that it was there, too.
PIGEON = EXAMPLES[Room.SOURCES].replace(
    '"instance": said["coop"]}', '"instance": said["coop"], "flock": headers.get("x-flock", "")}'
)

SIGNED = (
    PIGEON
    + """

def authentic(headers, body, credential):
    import hashlib, hmac

    wanted = hmac.new(credential.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted, headers.get("x-pigeon-signature", ""))
"""
)


@pytest.fixture
def plugins(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "plugins"
    (folder / "sources").mkdir(parents=True)
    (folder / "sources" / "pigeon.py").write_text(PIGEON)
    (folder / "sources" / "sealed.py").write_text(SIGNED.replace('"pigeon"', '"sealed"'))
    (folder / "sources" / "broken.py").write_text("import nothing_of_this_name")
    plugin_folder.use(folder)
    yield folder
    plugin_folder.use(None)


@pytest.fixture
def client(plugins: Path, tmp_path: Path, store: Store) -> TestClient:
    tokens = {"loft": SecretStr(TOKEN), "other": SecretStr("another-token-of-good-length")}
    settings = Settings(data=tmp_path, plugins=plugins, gateway_tokens=tokens)
    return TestClient(make_app(settings, store, wake=Wake(), alive=lambda: True), base_url="http://127.0.0.1")


def post(client: TestClient, name: str, body: object, **headers: str) -> httpx.Response:
    content = json.dumps(body).encode()
    return client.post(f"/alerts/{name}", content=content, headers={n.replace("_", "-"): h for n, h in headers.items()})


def signed(body: object, key: str) -> str:
    return hmac.new(key.encode(), json.dumps(body).encode(), hashlib.sha256).hexdigest()


def test_its_alert_is_on_disk_with_its_202(client: TestClient, store: Store) -> None:
    body = {"message": "slow", "coop": "web-1"}
    answer = post(client, "pigeon", body, authorization=f"Bearer {TOKEN}", x_flock="north")
    assert answer.status_code == 202
    with store.read() as tx:
        [row] = tx.conn.execute(select(inbox.c.source, inbox.c.sender, inbox.c.alert)).all()
    assert (row.source, row.sender, row.alert["labels"]["flock"]) == ("pigeon", "loft", "north")


def test_what_it_cannot_read_is_kept_under_its_name(client: TestClient, store: Store) -> None:
    answer = post(client, "pigeon", {"coop": "web-1"}, authorization=f"Bearer {TOKEN}")
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == "message"
    with store.read() as tx:
        assert [row.source for row in tx.conn.execute(select(quarantine.c.source))] == ["pigeon"]


def test_a_fault_in_its_reader_loses_nothing(client: TestClient, store: Store) -> None:
    answer = post(client, "pigeon", {"message": "slow"}, authorization=f"Bearer {TOKEN}")
    assert answer.status_code == 422
    with store.read() as tx:
        [kept] = tx.conn.execute(select(quarantine.c.body, quarantine.c.error)).all()
    assert kept.body == '{"message": "slow"}'
    assert "the reader of pigeon failed: KeyError" in kept.error


def test_without_a_token_there_is_nothing(client: TestClient) -> None:
    assert post(client, "pigeon", {"message": "slow", "coop": "web-1"}).status_code == 401


def test_a_signature_is_as_good_as_its_sender_s_token(client: TestClient, store: Store) -> None:
    body = {"message": "slow", "coop": "web-1"}
    answer = post(client, "sealed", body, x_pigeon_signature=signed(body, TOKEN))
    assert answer.status_code == 202
    with store.read() as tx:
        assert tx.conn.execute(select(inbox.c.sender)).scalar_one() == "loft"


@pytest.mark.parametrize("key", ["", "a-key-that-nobody-has"])
def test_a_wrong_signature_is_nobody_s_and_nothing_is_kept(client: TestClient, store: Store, key: str) -> None:
    body = {"message": "slow", "coop": "web-1"}
    assert post(client, "sealed", body, x_pigeon_signature=signed(body, key) if key else "").status_code == 401
    assert client.post("/alerts/sealed", content=b"x" * 20_000_000).status_code == 401
    with store.read() as tx:
        assert not tx.conn.execute(select(inbox.c.sender)).all()
        assert not tx.conn.execute(select(quarantine.c.source)).all()


def test_a_stranger_s_signature_that_its_check_cannot_take_is_nobody_s(client: TestClient) -> None:
    """`hmac.compare_digest` raises on a text that is not ASCII."""
    answer = client.post("/alerts/sealed", content=b"{}", headers={b"x-pigeon-signature": b"\xe9"})
    assert answer.status_code == 401


def test_the_api_describes_it_and_names_it_where_somebody_is_lost(client: TestClient) -> None:
    described = client.get("/openapi.json").json()["paths"]
    assert {"/alerts/alertmanager", "/alerts/pigeon", "/alerts/sealed"} <= set(described)
    body = described["/alerts/pigeon"]["post"]["requestBody"]
    assert body["description"] == "What a pigeon carries."
    assert body["content"]["application/json"]["example"] == {"message": "slow", "coop": "web-1"}
    lost = client.post("/alerts/dove").json()["error"]["allowed"]
    assert "POST /alerts/pigeon" in lost
    assert "broken" not in lost
