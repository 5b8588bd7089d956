"""A clock for changes of workloads: what waits for a deadline is soon there, however busy the machine is."""

from datetime import timedelta

import pytest

from paramedic.kubernetes import change, eviction, rollout
from paramedic.kubernetes import target as target_face
from paramedic.machine.clock import boottime


class Jumping:
    """A clock that goes a second on whenever it is asked: what waits for a deadline is soon there, however busy the machine."""

    def __init__(self) -> None:
        self._asked = 0

    def __call__(self) -> float:
        self._asked += 1
        return boottime() + self._asked


def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait of a change takes longer than what it waits for; each request has time enough."""
    for name in ("_FIRST_SECONDS", "_LATER_SECONDS"):
        monkeypatch.setattr(rollout, name, 0.001)
    for name in ("_LOOK_SECONDS", "_OBSERVE_SECONDS"):
        monkeypatch.setattr(change, name, 0.001)
    monkeypatch.setattr(eviction, "_LOOK_SECONDS", 0.001)
    clock = Jumping()
    monkeypatch.setattr(eviction, "boottime", clock)
    monkeypatch.setattr(rollout, "boottime", clock)
    monkeypatch.setattr(change, "boottime", clock)
    monkeypatch.setattr(target_face, "LOOK", timedelta(seconds=60))
