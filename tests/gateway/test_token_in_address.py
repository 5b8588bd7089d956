"""A vendor that sends no header of one's own has its token in the address: for alerts alone, and it is written down nowhere."""

import base64
import logging
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from paramedic.gateway.app import make_app
from paramedic.intake.intake import Wake
from paramedic.settings import Settings
from paramedic.sources import statuspage
from paramedic.store import Store
from paramedic.store.tables import inbox, messages, quarantine

TOKEN = "tökén/with=all&signs+of-an address"


@pytest.fixture
def client(tmp_path: Path, store: Store) -> TestClient:
    settings = Settings(
        data=tmp_path,
        gateway_tokens={"statuspage": SecretStr(TOKEN), "other": SecretStr("other-token-of-this-test")},
        gateway_users={"ada": SecretStr("a-password-of-this-test")},
    )
    return TestClient(make_app(settings, store, wake=Wake(), alive=lambda: True))


def _post(client: TestClient, params: list[tuple[str, str]], path: str = "/alerts/statuspage", **headers: str) -> int:
    return client.post(path, content=statuspage.EXAMPLE, params=params, headers=headers).status_code


def test_the_alert_is_taken_from_the_sender_of_the_token(client: TestClient, store: Store) -> None:
    assert _post(client, [("token", TOKEN)]) == 202
    with store.read() as tx:
        assert [row.sender for row in tx.conn.execute(inbox.select())] == ["statuspage"]


@pytest.mark.parametrize(
    "params",
    [
        [],
        [("token", "")],
        [("token", "wrong")],
        [("Token", TOKEN)],
        [("token", TOKEN), ("token", "other-token-of-this-test")],
        [("token", "a-password-of-this-test")],
    ],
)
def test_no_token_a_wrong_one_and_two_are_nobody_s(
    client: TestClient, store: Store, params: list[tuple[str, str]]
) -> None:
    assert _post(client, params) == 401
    with store.read() as tx:
        assert not tx.conn.execute(inbox.select()).all()


def test_a_header_counts_and_not_the_address_beside_it(client: TestClient, store: Store) -> None:
    assert _post(client, [("token", TOKEN)], Authorization="Bearer wrong") == 401
    login = base64.b64encode(b"ada:a-password-of-this-test").decode()
    assert _post(client, [("token", TOKEN)], Authorization=f"Basic {login}") == 202
    with store.read() as tx:
        assert [row.sender for row in tx.conn.execute(inbox.select())] == ["ada"]


@pytest.mark.parametrize("path", ["/heartbeats/backup", "/deployments", "/metrics"])
def test_it_opens_nothing_but_alerts(client: TestClient, path: str) -> None:
    how = client.get if path == "/metrics" else client.post
    assert how(path, params={"token": TOKEN}).status_code == 401  # type: ignore[operator]


def test_it_is_in_no_log_and_nothing_that_is_kept(
    client: TestClient, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        assert _post(client, [("token", TOKEN)], "/alerts/statuspag") == 404
        assert _post(client, [("token", f"{TOKEN}x")]) == 401
    with store.read() as tx:
        kept = [str(row) for table in (quarantine, messages) for row in tx.conn.execute(table.select())]
    assert len(kept) == 2, "an alert to an address that is none is kept and told, whoever its token is known by"
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("paramedic")]
    assert ours
    for text in (*kept, *ours):
        assert "signs" not in text
