"""The embedded Prefect writes by our queue, or as it does by itself where prefect_shortcuts is off."""

import gc
import sys
from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from sqlalchemy.pool import Pool

from paramedic.stack import prefect_server
from paramedic.stack.prefect_server import WriteQueue, create_app


@pytest.mark.parametrize("switch", [None, "true", "false"])
def test_writes_are_queued_unless_the_switch_is_off(switch: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    app, queued = FastAPI(), []
    monkeypatch.setitem(sys.modules, "prefect.server.api.server", SimpleNamespace(create_app=lambda: app))
    monkeypatch.setattr(prefect_server, "serialize_sqlite_writes", lambda *where: queued.append(where))
    monkeypatch.delenv("PARAMEDIC_PREFECT_SHORTCUTS", raising=False)
    if switch is not None:
        monkeypatch.setenv("PARAMEDIC_PREFECT_SHORTCUTS", switch)
    try:
        create_app()
    finally:
        gc.enable()
    ours = switch != "false"
    assert queued == ([(Engine, Pool)] if ours else [])
    assert any(one.cls is WriteQueue for one in app.user_middleware) == ours
