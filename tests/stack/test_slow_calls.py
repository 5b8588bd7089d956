"""A call that the embedded Prefect answers late stands in its log."""

import asyncio
import contextlib
from typing import Any

import pytest

from paramedic.stack import slow_calls
from paramedic.stack.slow_calls import SlowCalls


@pytest.mark.parametrize(
    ("kind", "takes", "fails", "logged"),
    [
        ("http", 6.0, False, ["GET /api/flow_runs took 6.0 s"]),
        ("http", 6.0, True, ["GET /api/flow_runs took 6.0 s"]),
        ("http", 4.9, False, []),
        ("websocket", 600.0, False, []),
    ],
)
def test_a_slow_call_is_logged(
    kind: str,
    takes: float,
    fails: bool,
    logged: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(slow_calls.time, "monotonic", lambda: clock[0])

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        clock[0] += takes
        if fails:
            raise RuntimeError("no answer")

    async def nothing(*_: Any) -> None:
        """Take it, or have nothing."""

    with contextlib.suppress(RuntimeError):
        asyncio.run(SlowCalls(app)({"type": kind, "method": "GET", "path": "/api/flow_runs"}, nothing, nothing))
    assert [record.getMessage() for record in caplog.records if record.name == slow_calls.__name__] == logged
