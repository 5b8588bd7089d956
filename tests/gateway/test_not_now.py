"""What the gateway cannot take or answer now it says in one way, with when to come back, whoever asks."""

import ast
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from paramedic import gateway, keys
from paramedic.gateway.app import make_app
from paramedic.intake.intake import Wake
from paramedic.messages.signed_link import Acknowledgement, Approving, sign, sign_approval
from paramedic.settings import Settings
from paramedic.store import Store

TOKEN = "a-token-of-this-test"


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    """A gateway whose store has no tables yet."""
    settings = Settings(data=tmp_path, gateway_tokens={"prometheus": SecretStr(TOKEN)})
    return TestClient(make_app(settings, Store(settings.store()), wake=Wake(), alive=lambda: False))


@pytest.fixture
def key(tmp_path: Path, client: TestClient) -> bytes:
    return keys.link_key(Settings(data=tmp_path))


def test_whoever_asks_hears_when_to_come_back(client: TestClient, key: bytes) -> None:
    sender = {"Authorization": f"Bearer {TOKEN}"}
    answers = [
        client.post("/alerts/alertmanager", content=b"{", headers=sender),
        client.post("/heartbeats/backup", headers=sender),
        client.get("/readyz"),
        client.get(f"/ack/{sign(key, Acknowledgement('s', 1, 'ada'))}"),
        client.get(f"/approve/{sign_approval(key, Approving('s', 1, 'ada'))}"),
    ]
    assert [(answer.status_code, answer.headers.get("retry-after")) for answer in answers] == [(503, "5")] * len(
        answers
    )
    assert "Try again in a minute" in answers[-1].text
    assert answers[-1].headers["x-frame-options"] == "DENY"


def test_without_its_key_the_gateway_proves_nothing_now(client: TestClient, key: bytes, tmp_path: Path) -> None:
    (tmp_path / "link.key").write_text("cut")
    asked = {"nonce": "0" * 64, "address": "http://127.0.0.1:8650"}
    answer = client.get("/identity", params=asked)
    assert (answer.status_code, answer.text, answer.headers.get("retry-after")) == (503, "no key\n", "5")


def test_nobody_else_in_the_gateway_answers_503() -> None:
    folder = Path(gateway.__file__).parent
    numbers = {
        file.name
        for file in folder.glob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call)
        for argument in [*call.args, *(keyword.value for keyword in call.keywords)]
        if isinstance(argument, ast.Constant) and argument.value == 503
    }
    assert numbers == set(), "paramedic.gateway.not_now says it"
    assert "_STATUS = 503" in (folder / "not_now.py").read_text()
