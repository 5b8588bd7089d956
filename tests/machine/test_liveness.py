"""The signs of life of a process, and what it says itself when it stood still."""

import asyncio

import pytest

from paramedic.machine import liveness
from paramedic.machine.liveness import LivenessPipe


class _Ended(Exception):
    """The test has seen enough."""


@pytest.mark.parametrize(
    ("slept", "logged"),
    [((1.0, 2.5), []), ((1.0, 12.2, 1.0), ["stood still for 11.2 s: the whole machine, or this process"])],
)
def test_a_loop_that_stood_still_says_so(
    slept: tuple[float, ...], logged: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock, left = [1000.0], list(slept)

    async def sleep(_: float) -> None:
        if not left:
            raise _Ended
        clock[0] += left.pop(0)

    monkeypatch.setattr(liveness, "boottime", lambda: clock[0])
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(_Ended):
        asyncio.run(LivenessPipe(None).keep_beating())
    assert [record.getMessage() for record in caplog.records] == logged
