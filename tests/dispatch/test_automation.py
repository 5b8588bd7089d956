"""The automation that docs/operators.md shows, on a real Prefect server: it reacts to our event, and to no other."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from prefect_server import Prefect
from store_states import opened

from paramedic.dispatch.events import Events
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.store import Store, lifecycle
from paramedic.transports.prefect_http import PrefectApi

pytestmark = [pytest.mark.real]


@pytest.fixture
def backend() -> str:
    return "sqlite"


SCRIPT = Path(__file__).parents[2] / "docs" / "automation.py"


def test_an_incident_given_to_a_person_starts_the_deployment_that_the_automation_names(
    prefect: Prefect, store: Store
) -> None:
    name = f"tell-the-office-{store.uuid[:8]}"  # the server has automations of other stores
    flow = prefect.ask("POST", "/flows/", json={"name": name})["id"]
    theirs = prefect.ask("POST", "/deployments/", json={"name": name, "flow_id": flow})["id"]
    made = subprocess.run(
        [sys.executable, SCRIPT, f"{name}/{name}"],
        env=dict(os.environ) | {"PREFECT_API_URL": prefect.api, "PREFECT_HOME": str(prefect.home / "client")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert prefect.ask("GET", f"/automations/{made.stdout.strip()}")["enabled"] is True

    with store.record() as tx:
        number = opened(tx)
        lifecycle.acknowledge(tx, opened(tx, target="web-2/tracking-api"), by="ada", reason="seen")  # no hand-over
        outcome = Outcome(Ending.HANDED_OVER, "restarted, still failing {{ flow_run.id }}")
        lifecycle.hand_over(tx, number, outcome, actor="run:run-1")
    while Events(store, PrefectApi(prefect.api)).work():
        pass

    started = _runs_of(prefect, theirs)
    assert [run["parameters"] for run in started] == [
        {"incident": "INC-1", "reason": "restarted, still failing {{ flow_run.id }}"}
    ]


def _runs_of(prefect: Prefect, deployment: str) -> list[dict[str, Any]]:
    until = time.monotonic() + 60
    while True:
        found: list[dict[str, Any]] = prefect.ask(
            "POST", "/flow_runs/filter", json={"deployments": {"id": {"any_": [deployment]}}}
        )
        if found:
            return found
        assert time.monotonic() < until, "the automation started nothing"
        time.sleep(0.2)


def test_the_page_shows_the_automation_as_it_is() -> None:
    code = (SCRIPT.with_name("operators.md").read_text()).partition("```python\n")[2].partition("\n```")[0]
    assert textwrap.indent(code, "    ") in SCRIPT.read_text()
