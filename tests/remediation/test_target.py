"""Whether its owner says that a target is up, whichever system owns it."""

import pytest

from paramedic.doors import reading
from paramedic.remediation.target import Identity, Target


def running(kind: str, identity: Identity) -> bool:
    return reading.running(Target("h/app", "app", "h", kind, "app", ""), identity)


@pytest.mark.parametrize(
    ("kind", "state"), [("supervisord", "RUNNING"), ("systemd", "active/running"), ("systemd", "reloading/reload")]
)
def test_a_process_in_a_running_state_is_up(kind: str, state: str) -> None:
    assert running(kind, Identity(1, 1.0, state))
    assert not running(kind, Identity(None, None, state))  # active/exited, or told between two lives


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("supervisord", "STOPPED"),
        ("supervisord", "STARTING"),
        ("supervisord", "FATAL"),
        ("systemd", "activating/start"),
        ("systemd", "activating/auto-restart"),
        ("systemd", "deactivating/stop-sigterm"),
        ("systemd", "failed/failed"),
    ],
)
def test_any_other_state_is_not(kind: str, state: str) -> None:
    assert not running(kind, Identity(1, 1.0, state))
