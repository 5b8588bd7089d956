"""Every look at a target and every change of one goes by the transport that its door hands out, and by nothing else."""

from collections.abc import Callable
from datetime import timedelta
from typing import NoReturn

import pytest

from paramedic.doors import changing, reading
from paramedic.errors import PermanentError
from paramedic.kinds.process_target import process_identity
from paramedic.remediation.target import Command, Target

RUNNING = process_identity(1, 1.0, "RUNNING")


class NoWay:
    """A transport that leads nowhere, and says what it was asked for."""

    def __init__(self, target: Target, _act: str | None = None) -> None:
        self._host = target.host

    def __getattr__(self, name: str) -> NoReturn:
        raise PermanentError(f"no way to {self._host}, where {name} was asked for")


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for door in (reading, changing):
        monkeypatch.setattr(door, "transport", NoWay)


def target(kind: str) -> Target:
    commands = {"mend": Command("mend", ("true",), timedelta(seconds=5))}
    address = "unix:///nowhere" if kind == "supervisord" else ""
    return Target("web-2/app", "x", "web-2", kind, "app.service", address, None, "/app.log", "/releases", commands)


def agree() -> None:
    """A last look that sees nothing wrong."""


LOOKS: dict[str, Callable[[str], object]] = {
    "identity": lambda kind: reading.reader(target(kind)).identity(),
    "restart": lambda kind: changing.changer(target(kind)).restart(RUNNING, agree),
    "process-tree": lambda kind: reading.evidence(target(kind), "process-tree"),
    "memory": lambda kind: reading.resident_memory(target(kind), RUNNING),
    "use": lambda kind: reading.process_use(target(kind)),
    "log": lambda kind: reading.log_tail(target(kind)),
    "releases": lambda kind: reading.releases(target(kind)).all(),
    "roll-back": lambda kind: changing.releases(target(kind)).roll_back("2", agree, approved=True),
    "command": lambda kind: changing.command(target(kind), "mend").run(agree),
}


@pytest.mark.parametrize("kind", ["supervisord", "systemd"])
@pytest.mark.parametrize("look", LOOKS)
def test_it_goes_by_the_transport(kind: str, look: str) -> None:
    with pytest.raises(PermanentError, match="no way to web-2"):
        LOOKS[look](kind)


def test_a_journal_goes_by_it_too() -> None:
    with pytest.raises(PermanentError, match="no way to web-2"):
        reading.evidence(target("systemd"), "journal")
