"""Why a run died, from a real Prefect: its engine could not import the flow, as on a stock worker."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prefect_server import Prefect
from waiting import until

from paramedic.settings import Settings
from paramedic.watchdog.prefect_status import PrefectStatus

pytestmark = pytest.mark.real

#: What a stock worker makes of the exit code of such a process.
ENDED = "Process exited with status code: 1. Process exited with an error."


def _run(prefect: Prefect, entrypoint: str) -> str:
    """A run of a deployment whose flow is there."""
    flow = prefect.ask("POST", "/flows/", json={"name": "restart-service"})["id"]
    deployment = prefect.ask(
        "POST",
        "/deployments/",
        json={"name": f"cause of {entrypoint}", "flow_id": flow, "entrypoint": entrypoint, "pull_steps": []},
    )["id"]
    state = {"state": {"type": "PENDING"}}
    return str(prefect.ask("POST", f"/deployments/{deployment}/create_flow_run", json=state)["id"])


def _die(prefect: Prefect, run: str, entrypoint: str, home: Path) -> None:
    """As a stock worker runs it and ends it."""
    env = os.environ | {
        "PREFECT_API_URL": prefect.api,
        "PREFECT_HOME": str(home),
        "PREFECT__FLOW_RUN_ID": run,
        "PREFECT__FLOW_ENTRYPOINT": entrypoint,
    }
    died = subprocess.run(
        [sys.executable, "-m", "prefect.engine", run], env=env, cwd=home, check=False, capture_output=True, timeout=120
    )
    assert died.returncode == 1, died.stderr.decode()
    crashed = {"state": {"type": "CRASHED", "message": ENDED}, "force": True}
    prefect.ask("POST", f"/flow_runs/{run}/set_state", json=crashed)


def test_what_kept_a_flow_from_being_imported_is_found(prefect: Prefect, tmp_path: Path) -> None:
    (tmp_path / "our_restart.py").write_text("x = 1\nimport nothing_like_this\n")
    entrypoint = "our_restart.our_restart"
    run = _run(prefect, entrypoint)
    _die(prefect, run, entrypoint, tmp_path)
    status = PrefectStatus(Settings(prefect_api_url=prefect.api))
    until("Prefect has the log", lambda: "nothing_like_this" in status.cause(run), 30)
    assert status.cause(run) == (
        "ModuleNotFoundError: No module named 'nothing_like_this' (Process exited with status code: 1. Process exited with "
        "an error); the log of its run in Prefect has all of it"
    )


def test_of_a_run_that_left_nothing_nothing_is_known(prefect: Prefect) -> None:
    run = _run(prefect, "flows.restart_service.restart_service")
    status = PrefectStatus(Settings(prefect_api_url=prefect.api))
    assert status.cause(run) == ""
    assert status.cause("0f3f1c52-9a3e-4f43-8f0c-0d9f6f6f4b11") == "", "one that it does not know"
