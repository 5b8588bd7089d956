"""Whether its owner says that a target is up, whichever system owns it."""

import pytest

from paramedic.remediation.target import Identity


@pytest.mark.parametrize("state", ["RUNNING", "active/running", "reloading/reload"])
def test_a_process_in_a_running_state_is_up(state: str) -> None:
    assert Identity(1, 1.0, state).running
    assert not Identity(None, None, state).running  # active/exited, or told between two lives


@pytest.mark.parametrize(
    "state",
    [
        "STOPPED",
        "STARTING",
        "FATAL",
        "activating/start",
        "activating/auto-restart",
        "deactivating/stop-sigterm",
        "failed/failed",
    ],
)
def test_any_other_state_is_not(state: str) -> None:
    assert not Identity(1, 1.0, state).running
