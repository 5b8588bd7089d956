"""Strangers of a source that is known by signatures have a lane of their own: nobody else waits for what they send."""

import asyncio
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from databases import migrated
from pydantic import SecretStr

from paramedic.gateway import alerts, signing
from paramedic.gateway.app import make_app
from paramedic.intake.intake import Wake
from paramedic.kinds import plugin_folder, registry
from paramedic.kinds.registry import Room
from paramedic.settings import Settings
from paramedic.store import Store

TOKEN = "a-token-of-this-test"

SOURCE = """
import hashlib, hmac, json
from datetime import UTC, datetime

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.alerts.reading import Reading

BODY, EXAMPLE = "Anything.", "{}"


def read(headers, body):
    labels = {"alertname": "A"}
    return Reading((Alert("x", "A", Severity.WARNING, Status.FIRING, datetime.now(UTC), fingerprint("x", labels), labels),))


def authentic(headers, body, credential):
    wanted = hmac.new(credential.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted, headers.get("x-signature", ""))
"""


@pytest.fixture
def plugins(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "plugins"
    (folder / "sources").mkdir(parents=True)
    for name in ("swan", "dove"):
        (folder / "sources" / f"{name}.py").write_text(SOURCE)
    plugin_folder.use(folder)
    yield folder
    plugin_folder.use(None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(migrated(tmp_path / "paramedic.db"))
    yield opened
    opened.close()


class Held:
    """A check of signatures that does not come back before `go`."""

    def __init__(self, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.now = self.most = 0
        self._checks: Callable[..., bool] = module.authentic
        monkeypatch.setattr(module, "authentic", self.check)

    def check(self, headers: Mapping[str, str], body: bytes, credential: str) -> bool:
        self.now += 1
        self.most = max(self.most, self.now)
        self.begun.set()
        assert self.go.wait(60)
        self.now -= 1
        return self._checks(headers, body, credential)


def signed(body: bytes) -> dict[str, str]:
    return {"x-signature": hmac.new(TOKEN.encode(), body, hashlib.sha256).hexdigest()}


def app_of(plugins: Path, store: Store, **more: Any) -> Any:
    settings = Settings(data=plugins.parent, plugins=plugins, gateway_tokens={"a": SecretStr(TOKEN)}, **more)
    return make_app(settings, store, wake=Wake(), alive=lambda: True)


def client(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1")


def test_while_strangers_of_one_source_are_checked_everybody_else_gets_the_202(
    plugins: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(registry.current().plugin(Room.SOURCES, "swan"), monkeypatch)
    app = app_of(plugins, store)
    token = {"Authorization": f"Bearer {TOKEN}"}
    alert = {"labels": {"alertname": "A"}, "status": "firing", "startsAt": "2026-01-31T09:30:00Z"}
    large = json.dumps({"alerts": [alert], "padding": "x" * alerts._QUICK}).encode()

    async def together() -> None:
        async with client(app) as sending:
            strangers = [asyncio.create_task(sending.post("/alerts/swan", content=b"{}")) for _ in range(50)]
            assert await asyncio.to_thread(held.begun.wait, 60)
            others = [
                await sending.post("/alerts/alertmanager", content=large, headers=token),  # its reader's thread is free
                await sending.post("/alerts/swan", content=b"{}", headers=token),  # known before its body
                await sending.post("/alerts/dove", content=large, headers=signed(large)),  # another's lane
            ]
            assert [answer.status_code for answer in others] == [202, 202, 202]
            assert not any(stranger.done() for stranger in strangers)
            held.go.set()
            assert {answer.status_code for answer in await asyncio.gather(*strangers)} == {401}

    asyncio.run(together())
    assert held.most == 1


def test_strangers_large_bodies_take_no_room_of_those_who_are_known(
    plugins: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One large body of a stranger fills the lane; the next one waits there, and no one else does."""
    held = Held(registry.current().plugin(Room.SOURCES, "swan"), monkeypatch)
    limit = 4 * signing._SMALL
    app = app_of(plugins, store, body_limit=limit)
    body = b"x" * limit

    async def together() -> None:
        arrived = asyncio.Event()

        async def slowly() -> Any:
            arrived.set()
            yield body[: signing._SMALL + 1]
            yield body[signing._SMALL + 1 :]  # not asked for before there is room for the whole

        async with client(app) as sending:
            length = {"Content-Length": str(limit)}
            first = asyncio.create_task(sending.post("/alerts/swan", content=body, headers=signed(body)))
            assert await asyncio.to_thread(held.begun.wait, 60)
            second = asyncio.create_task(sending.post("/alerts/swan", content=slowly(), headers=signed(body) | length))
            await arrived.wait()
            other = await sending.post("/alerts/dove", content=body, headers=signed(body))
            known = await sending.post("/alerts/swan", content=body, headers={"Authorization": f"Bearer {TOKEN}"})
            assert (other.status_code, known.status_code) == (202, 202)
            assert [future.done() for future in (first, second)] == [False, False]
            held.go.set()
            assert [answer.status_code for answer in await asyncio.gather(first, second)] == [202, 202]

    asyncio.run(together())
    assert held.most == 1


def test_a_stranger_s_body_that_is_too_large_is_nobody_s(plugins: Path, store: Store) -> None:
    async def alone() -> int:
        async with client(app_of(plugins, store, body_limit=100_000)) as sending:
            return (await sending.post("/alerts/swan", content=b"x" * 100_001)).status_code

    assert asyncio.run(alone()) == 401
