"""No input of one sender's keeps the others from their 202: what takes long is done beside the event loop, one at a time."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from databases import migrated
from pydantic import SecretStr

from paramedic.alerts.reading import Reading
from paramedic.gateway import alerts
from paramedic.gateway.app import make_app
from paramedic.intake.intake import Wake
from paramedic.settings import Settings
from paramedic.sources import alertmanager
from paramedic.store import Store

TOKEN = "a-token-of-this-test"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(migrated(tmp_path / "paramedic.db"))
    yield opened
    opened.close()


def _body(size: int = 0) -> bytes:
    alert = {"labels": {"alertname": "A"}, "status": "firing", "startsAt": "2026-01-31T09:30:00Z"}
    return json.dumps({"alerts": [alert], "padding": "x" * size}).encode()


def test_while_large_bodies_are_read_one_at_a_time_a_small_one_gets_its_202(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go, read = threading.Event(), threading.Event(), alertmanager.read
    at_once, most = [0], [0]

    def slow(headers: Any, body: bytes) -> Reading:
        if len(body) > alerts._QUICK:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
            begun.set()
            assert go.wait(60)
            at_once[0] -= 1
        return read(headers, body)

    monkeypatch.setattr(alertmanager, "read", slow)
    settings = Settings(data=tmp_path, gateway_tokens={"a": SecretStr(TOKEN)})
    app = make_app(settings, store, wake=Wake(), alive=lambda: True)

    async def together() -> list[Any]:
        transport = httpx.ASGITransport(app=app)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
            large = [
                asyncio.create_task(client.post("/alerts/alertmanager", content=_body(alerts._QUICK)))
                for _ in range(50)
            ]
            assert await asyncio.to_thread(begun.wait, 60)
            small = [await client.post("/alerts/alertmanager", content=_body()) for _ in range(5)]
            assert not any(post.done() for post in large)
            go.set()
            return [*small, *await asyncio.gather(*large)]

    answers = asyncio.run(together())
    assert [answer.status_code for answer in answers] == [202] * 55
    assert most == [1]
