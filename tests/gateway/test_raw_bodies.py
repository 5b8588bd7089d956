"""The body that an alert came in is kept as it was posted: once a request, redacted, bounded in size, number and rate."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from command_line import paramedic
from databases import Clock
from pydantic import SecretStr
from starlette.testclient import TestClient

from paramedic.gateway import raw_bodies as allowance
from paramedic.gateway.app import make_app
from paramedic.gateway.raw_bodies import RawBodies
from paramedic.intake.intake import Wake
from paramedic.settings import Settings
from paramedic.store import Store, inbox, raw_bodies, retention
from paramedic.store.raw_bodies import BODY_LIMIT, NOT_KEPT, raw_body
from paramedic.store.table_facts import Cutoffs
from paramedic.store.tables import inbox as inbox_rows
from paramedic.store.tables import raw_bodies as kept_rows
from paramedic.text import redaction

TOKEN = "a-token-of-this-test"
SENDER = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", "X-Secret": "never-to-be-kept"}


@pytest.fixture
def client(tmp_path: Path, timed: Store) -> Iterator[TestClient]:
    settings = Settings(data=tmp_path, gateway_tokens={"me": SecretStr(TOKEN)})
    with TestClient(make_app(settings, timed, wake=Wake(), alive=lambda: True)) as client:
        yield client


def group(count: int = 1, **more: Any) -> bytes:
    alerts = [{"labels": {"alertname": f"A{number}"}, "status": "firing"} for number in range(count)]
    return json.dumps({"alerts": alerts, **more}, indent=1).encode()


def post(client: TestClient, body: bytes) -> list[str]:
    answer = client.post("/alerts/alertmanager", content=body, headers=SENDER)
    assert answer.status_code == 202
    receipts: list[str] = answer.json()["receipts"]
    return receipts


def rows(store: Store, table: Any) -> list[Any]:
    with store.read() as tx:
        return list(tx.conn.execute(table.select()))


def test_a_group_s_body_is_kept_once_as_it_came(client: TestClient, timed: Store) -> None:
    body = group(3, groupKey='{}:{alertname="A"}')
    post(client, body)
    [kept] = rows(timed, kept_rows)
    assert (kept.body, kept.size) == (body.decode(), len(body))
    assert kept.headers["content-type"] == "application/json"
    assert "authorization" not in kept.headers
    assert "x-secret" not in kept.headers
    assert {row.raw for row in rows(timed, inbox_rows)} == {kept.id}


def test_no_secret_is_in_it(client: TestClient, timed: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    redaction.remember("the-known-secret")
    long = "x" * (BODY_LIMIT - 60)
    post(client, group(password="hunter2hunter2", known="the-known-secret", encoded="dGhlLWtub3duLXNlY3JldA=="))
    post(client, f'{{"alerts": [{{"labels": {{"alertname": "A"}}}}], "x": "{long}the-known-secret"}}'.encode())
    for row in rows(timed, kept_rows):
        for secret in ("hunter2", "the-known-secret", "dGhlLWtub3", "the-known"):
            assert secret not in row.body
        assert len(row.body) <= BODY_LIMIT


def test_a_body_in_which_no_alert_is_and_one_that_cannot_be_read_are_kept_elsewhere(
    client: TestClient, timed: Store
) -> None:
    for body in (b"{", b'{"alerts": []}'):
        client.post("/alerts/alertmanager", content=body, headers=SENDER)
    assert rows(timed, kept_rows) == []


@pytest.mark.parametrize(
    "body", [b"\xff\xfe\x00{", b"\x00" * 100, "\ud800".encode("utf-8", "surrogatepass"), b"x" * 10**6]
)
def test_whatever_it_is_it_can_be_kept(timed: Store, body: bytes) -> None:
    with timed.write() as tx:
        raw_bodies.put(tx, [raw_body({"ce-id": "\x00\ud800" + "x" * 5000, "content-type": "a\x00b"}, body)])
    [row] = rows(timed, kept_rows)
    assert (row.size, len(row.body) <= BODY_LIMIT) == (len(body), True)


def test_a_storm_is_not_kept_whole_and_what_is_not_says_so(
    client: TestClient, timed: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "_A_SECOND", 0.0)
    for _ in range(200):
        post(client, group(1, padding="x" * 60_000))
    kept = [row.raw for row in rows(timed, inbox_rows)]
    assert 60 <= len(rows(timed, kept_rows)) <= 70, "4 MiB"
    assert kept[0] != NOT_KEPT
    assert kept[-1] == NOT_KEPT
    metrics = client.get("/metrics", headers=SENDER).text
    assert "paramedic_raw_bodies_not_kept_total" in metrics


def test_the_allowance_comes_back_with_time() -> None:
    now = [0.0]
    bodies = RawBodies(at_once=1000, clock=lambda: now[0])
    assert bodies.keep({}, b"x" * 400) is not None
    assert bodies.keep({}, b"x" * 400) is None
    now[0] += 1
    assert bodies.keep({}, b"x" * 400) is not None
    now[0] += 10**6
    assert bodies.keep({}, b"x" * 501) is None, "and no more than at once"


def test_the_newest_are_kept_and_age_ends_them(
    client: TestClient, timed: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_bodies, "MOST", 3)
    for number in range(5):
        post(client, group(1, number=number))
    assert [json.loads(row.body)["number"] for row in rows(timed, kept_rows)] == [2, 3, 4]
    clock.advance(timedelta(days=40))
    with timed.write() as tx:
        old = tx.now - timedelta(days=30)
        assert retention.remove_old(tx, Cutoffs(received=old, ended=old), at_most=100)["raw_bodies"] == 3


def test_a_command_shows_the_alert_and_its_body(
    client: TestClient, timed: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {
        "PARAMEDIC_DATA": str(tmp_path),
        "PARAMEDIC_STORE_URL": timed.engine.url.render_as_string(hide_password=False),
    }
    body = group(1, escape="\x1b[31m")
    [receipt] = post(client, body)
    shown = paramedic("alert", "show", "1", env=env)
    assert "alert: A0 (critical, firing)" in shown or "alert: A0 (" in shown
    assert f"receipt {receipt}" in shown
    assert f"its body of {len(body)} bytes: paramedic alert show 1 --raw" in shown
    assert json.loads(paramedic("alert", "show", receipt, "--raw", env=env))["escape"] == "\x1b[31m"
    document = json.loads(paramedic("alert", "show", receipt, "--json", env=env))
    assert (document["raw"]["body"], document["raw"]["size"]) == (body.decode(), len(body))
    for wrong in ("99", "x", "9" * 30):
        assert "there is no alert" in paramedic("alert", "show", wrong, code=1, env=env)
    monkeypatch.setattr(RawBodies, "keep", lambda *_: None)
    post(client, body)
    assert "too much came at once" in paramedic("alert", "show", "2", env=env)
    assert "too much came at once" in paramedic("alert", "show", "2", "--raw", code=1, env=env)
    with timed.write() as tx:
        tx.conn.execute(kept_rows.delete())
        inbox.put(tx, [], source="check", sender="check")
    assert "no longer kept" in paramedic("alert", "show", "1", "--raw", code=1, env=env)
