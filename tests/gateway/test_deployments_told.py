"""`POST /deployments`: told once, refused in words, and in the first message of the incident that begins after it."""

import base64
import contextlib
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from command_line import paramedic
from databases import Clock
from incident_states import PEOPLE, on_call
from pydantic import SecretStr
from serving import AUTH, connect, read_one, serving, status
from starlette.testclient import TestClient

from paramedic.catalog.library import Library
from paramedic.gateway.app import make_app
from paramedic.intake.intake import Intake, Wake
from paramedic.messages.document import plain
from paramedic.messages.page import overview, page
from paramedic.settings import Settings
from paramedic.sources import alertmanager
from paramedic.store import Store, StoreUnavailable, deployments, incident_page, incident_summary, incidents
from paramedic.store.tables import deployments as rows

TOKEN = "a-token-of-this-test"
CI = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data=tmp_path,
        gateway_tokens={"ci": SecretStr(TOKEN), "narrow": SecretStr("narrow-token-of-test")},
        gateway_users={"jenkins": SecretStr("a-password-of-test")},
        sender_services={"narrow": ("shop",)},
    )


@pytest.fixture
def client(settings: Settings, timed: Store) -> Iterator[TestClient]:
    with TestClient(make_app(settings, timed, wake=Wake(), alive=lambda: True)) as client:
        yield client


def post(client: TestClient, headers: dict[str, str] = CI, **fields: Any) -> tuple[int, Any]:
    answer = client.post("/deployments", json={"service": "shop", "version": "v7", **fields}, headers=headers)
    return answer.status_code, answer.json()


def kept(store: Store) -> list[Any]:
    with store.read() as tx:
        return list(tx.conn.execute(rows.select()))


def test_it_is_on_disk_once_and_its_id_is_answered(client: TestClient, timed: Store) -> None:
    assert post(client, id="build-7", by="ada") == (201, {"id": "build-7", "new": True})
    assert post(client, id="build-7", by="ada") == (200, {"id": "build-7", "new": False})
    [row] = kept(timed)
    assert (row.service, row.version, row.by, row.told_by) == ("shop", "v7", "ada", "ci")
    basic = base64.b64encode(b"jenkins:a-password-of-test").decode()
    assert post(client, {"Authorization": f"Basic {basic}"}, version="v8")[0] == 201


@pytest.mark.parametrize(
    ("headers", "fields", "code", "field"),
    [
        ({}, {}, 401, "Authorization"),
        ({"Authorization": "Bearer wrong"}, {}, 401, "Authorization"),
        (CI, {"version": None}, 422, "version"),
        (CI, {"at": "soon"}, 422, "at"),
        (CI, {"id": "known", "version": "v9"}, 409, "id"),
        ({"Authorization": "Bearer narrow-token-of-test"}, {"service": "orders"}, 403, "service"),
    ],
)
def test_what_is_refused_says_why_and_leaves_nothing(
    client: TestClient, timed: Store, headers: dict[str, str], fields: dict[str, Any], code: int, field: str
) -> None:
    assert post(client, id="known")[0] == 201
    answered, body = post(client, headers, **fields)
    assert (answered, body["error"]["field"]) == (code, field)
    assert body["error"]["allowed"]
    assert len(kept(timed)) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"x" * 100_000, b"\xff", b"[" * 50_000])
def test_no_body_makes_a_500(client: TestClient, timed: Store, body: bytes) -> None:
    assert client.post("/deployments", content=body, headers=CI).status_code in {400, 413, 422}
    assert kept(timed) == []


def test_one_that_drips_is_over_in_its_time(tmp_path: Path) -> None:
    head = f"POST /deployments HTTP/1.1\r\nHost: localhost\r\n{AUTH}\r\nContent-Length: 99\r\n\r\n{{"
    with serving(tmp_path, body_timeout=timedelta(seconds=0.3)) as (port, _, _), connect(port) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(head.encode())
        assert status(read_one(connection)) == 408


def test_a_store_that_is_away_and_too_many_of_one_sender_are_asked_for_again(
    client: TestClient, timed: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployments, "MOST_AN_HOUR", 1)
    assert post(client)[0] == 201
    answer = client.post("/deployments", json={"service": "shop", "version": "v8"}, headers=CI)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    monkeypatch.setattr(timed, "record", _away)
    assert post(client, {"Authorization": "Bearer narrow-token-of-test"})[0] == 503


def _away() -> Any:
    raise StoreUnavailable("it is away")


def fire(client: TestClient, clock: Clock, store: Store) -> None:
    """The alert of an incident comes, and is decided on."""
    body = json.loads(alertmanager.EXAMPLE)
    body["alerts"][0]["labels"]["service"] = "shop"
    body["alerts"][0]["startsAt"] = clock.now().isoformat()
    assert client.post("/alerts/alertmanager", json=body, headers=CI).status_code == 202
    Intake(store, lambda: Library.unusable([])).work()


def test_the_first_message_says_what_came_just_before(client: TestClient, timed: Store, clock: Clock) -> None:
    post(client, version="v6", by="bob")
    clock.advance(timedelta(minutes=50))
    post(client, version="v7", by="ada", link="https://ci.example.org/7", environment="prod")
    post(client, service="orders", version="o9")
    clock.advance(timedelta(minutes=3))
    fire(client, clock, timed)
    said = [
        "3m before it began: v7 (prod, by ada, told by ci, https://ci.example.org/7)",
        "53m before it began: v6 (by bob, told by ci)",
    ]
    with timed.read() as tx:
        incident = incidents.get(tx, 1)
        summary = incident_summary.summary(tx, incident)
        assert list(summary.deployed_before) == said
        shown = plain(overview(summary, by="ada"))
        assert "Deployed before it began:\n" + "\n".join(said) in shown
        assert "v7 (prod" in incident_page.page(tx, incident, oncall=None).replace("\\", "")
        assert "o9" not in shown
        message = page(summary, person=on_call().oncall.people["ada"], link="", lasts=timedelta(hours=4))
        assert message.text.index("\n".join(said)) < message.text.index("What Paramedic did")


def test_the_commands_tell_and_list(tmp_path: Path, store: Store) -> None:
    (tmp_path / "runbooks").mkdir()
    services = "services: {shop: {targets: [{host: web-1, systemd: shop.service}]}}\n"
    (tmp_path / "runbooks" / "services.yaml").write_text(services)
    (tmp_path / "runbooks" / "oncall.yaml").write_text(PEOPLE)
    env = {
        "PARAMEDIC_DATA": str(tmp_path),
        "PARAMEDIC_RUNBOOKS": str(tmp_path / "runbooks"),
        "PARAMEDIC_STORE_URL": store.engine.url.render_as_string(hide_password=False),
        "USER": "ada",
    }
    add = ("deployment", "add", "--service", "shop", "--version", "v7")
    assert "shop v7" in paramedic(*add, "--id", "b7", "--at", "-5m", env=env)
    assert "was known already" in paramedic(*add, "--id", "b7", env=env)
    paramedic(*add[:-1], "v8", "--id", "b7", code=1, env=env)
    assert "--link" in paramedic(*add, "--link", "ftp://x", code=2, env=env)
    assert "there is no service 'shpo'" in paramedic(*add[:3], "shpo", *add[4:], code=1, env=env)
    listed = json.loads(paramedic("deployment", "list", "--json", env=env))
    assert [(one["id"], one["service"], one["told_by"]) for one in listed] == [("b7", "shop", "ada")]
    assert "v7" in paramedic("deployment", "list", "--service", "shop", env=env)
    assert "there is no deployment b9" in paramedic("deployment", "list", "--before", "b9", code=1, env=env)
